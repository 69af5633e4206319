"""The id of a request, which its log lines and its answer share."""

from __future__ import annotations

import re
from uuid import uuid4

HEADER = "X-Request-ID"
FIELD = "request_id"

_FIT = re.compile(r"[A-Za-z0-9._~+/=:-]{1,128}")


def fit_id(given: str | None) -> str:
    """Return the id that a request came with, or a new one if that could spoil a log."""
    return given if given is not None and _FIT.fullmatch(given) else uuid4().hex
