"""The id of a request, which its log lines and its answer share."""

from __future__ import annotations

import os
import re

from structlog.contextvars import bind_contextvars, clear_contextvars

HEADER = "X-Request-ID"
FIELD = "request_id"

_FIT = re.compile(r"[A-Za-z0-9._~+/=:-]{1,128}")


def begin_request(given: str | None) -> str:
    """Return the id that a request came with, or a new one if that could spoil a log.

    All that is logged from now on, in this task or thread, has it too.
    """
    chosen = given if given is not None and _FIT.fullmatch(given) else os.urandom(16).hex()
    clear_contextvars()
    bind_contextvars(**{FIELD: chosen})
    return chosen
