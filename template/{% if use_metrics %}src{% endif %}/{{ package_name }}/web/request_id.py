"""The id of a request, which its log lines and its answer share."""

from __future__ import annotations

import random
import re
from contextvars import ContextVar

HEADER = "X-Request-ID"
FIELD = "request_id"

# Of the request that this task or thread serves.
current: ContextVar[str | None] = ContextVar(FIELD, default=None)

_FIT = re.compile(r"[A-Za-z0-9._~+/=:-]{1,128}")


def begin_request(given: str | None) -> str:
    """Return the id that a request came with, or a new one if that could spoil a log.

    All that is logged from now on, in this task or thread, has it too.
    """
    is_fit = given is not None and _FIT.fullmatch(given)
    chosen = given if is_fit and given else f"{random.getrandbits(128):032x}"
    current.set(chosen)
    return chosen
