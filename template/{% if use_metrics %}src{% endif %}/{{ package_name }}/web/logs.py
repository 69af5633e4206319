"""Log lines with fields: JSON, or text for people at a terminal."""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Any

import structlog
from structlog.typing import EventDict, Processor

from .request_id import FIELD, current

FIELDS = ("method", "path", "status", "seconds", FIELD)
REQUESTS = f"{__package__.partition('.')[0]}.requests"
_requests = logging.getLogger(REQUESTS)


def log_request(method: str, path: str, status: int, seconds: float, request_id: str) -> None:
    """Write the line of a request that was answered; those that failed are worth a warning."""
    level = logging.WARNING if status >= 500 else logging.INFO
    if not _requests.isEnabledFor(level):
        return
    fields = dict(zip(FIELDS, (method, path, status, round(seconds, 6), request_id), strict=True))
    _requests.log(level, "%s %s %s", method, path, status, extra=fields)


def logging_config(*, all_requests: bool, **loggers: dict[str, Any]) -> dict[str, Any]:
    """Return the configuration of logging for a server, with what it wants of its loggers."""
    level = "INFO" if all_requests else "WARNING"
    formatters = {"lines": make_formatter, "requests": make_request_formatter}
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            name: {"()": f"{__name__}.{make.__name__}"} for name, make in formatters.items()
        },
        "handlers": {
            name: {"class": "logging.StreamHandler", "formatter": name} for name in formatters
        },
        "root": {"handlers": ["lines"], "level": "INFO"},
        "loggers": {
            "alembic": {"level": "WARNING"},
            REQUESTS: {"handlers": ["requests"], "propagate": False, "level": level},
            **loggers,
        },
    }


def make_formatter() -> logging.Formatter:
    """Return what writes a line with all that is known of it."""
    last: list[Processor] = [structlog.dev.ConsoleRenderer()]
    if not sys.stderr.isatty():
        last = [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
    return structlog.stdlib.ProcessorFormatter(
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last],
        foreign_pre_chain=[
            structlog.contextvars.merge_contextvars,
            _add_request_id,
            structlog.stdlib.add_log_level,
            structlog.stdlib.add_logger_name,
            structlog.stdlib.ExtraAdder(),
            structlog.processors.TimeStamper(fmt="iso", utc=True),
        ],
    )


def _add_request_id(logger: Any, method: str, event: EventDict) -> EventDict:
    if request_id := current.get():
        event[FIELD] = request_id
    return event


def make_request_formatter() -> logging.Formatter:
    """Return what writes the lines of requests, which are many."""
    return make_formatter() if sys.stderr.isatty() else RequestFormatter()


class RequestFormatter(logging.Formatter):
    """Writes JSON as the other does, in less time."""

    def format(self, record: logging.LogRecord) -> str:
        """Return a line of JSON."""
        line = {
            "event": record.getMessage(),
            "level": record.levelname.lower(),
            "logger": record.name,
            **{name: record.__dict__[name] for name in FIELDS},
            "timestamp": datetime.fromtimestamp(record.created, UTC).isoformat(),
        }
        return json.dumps(line)
