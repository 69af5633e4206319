"""Log lines with fields: JSON, or text for people at a terminal."""

from __future__ import annotations

import logging
import sys
from typing import Any

import structlog
from structlog.typing import Processor

requests = logging.getLogger(f"{__package__.partition('.')[0]}.requests")


def log_request(method: str, path: str, status: int, seconds: float) -> None:
    """Write the line of a request; its id is among the fields of all lines meanwhile."""
    fields = {"method": method, "path": path, "status": status, "seconds": round(seconds, 6)}
    requests.info("%s %s %s", method, path, status, extra=fields)


def logging_config(**loggers: dict[str, Any]) -> dict[str, Any]:
    """Return the configuration of logging for a server, with what it wants of its loggers."""
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"fields": {"()": f"{__name__}.make_formatter"}},
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "fields"}},
        "root": {"handlers": ["stderr"], "level": "INFO"},
        "loggers": {"alembic": {"level": "WARNING"}, **loggers},
    }


def make_formatter() -> logging.Formatter:
    """Return what writes a line."""
    is_watched = sys.stderr.isatty()
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    last: list[Processor] = (
        [structlog.dev.ConsoleRenderer()]
        if is_watched
        else [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
    )
    return structlog.stdlib.ProcessorFormatter(
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last],
        foreign_pre_chain=shared,
    )
