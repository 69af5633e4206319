"""How the text of a database URL is read."""

from __future__ import annotations

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

_NO_URL = (ArgumentError, ValueError)


def read_url(text: str) -> URL:
    """Return the URL; raises a ValueError that does not repeat it."""
    try:
        url = make_url(text)
    except _NO_URL:
        raise ValueError("is not a database URL such as sqlite:///./app.db") from None
    if "@" in (url.host or ""):
        raise ValueError("has an @ in its user or password: write %40")
    return url
