"""Who is read, where the units of work in a block must not read just any replica."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

# In place of a replica.
PRIMARY = "primary"

chosen: ContextVar[object] = ContextVar("chosen", default=None)


@contextmanager
def reading_from(server: object) -> Iterator[None]:
    """Let units of work in the block that only read do so from this replica, or the primary."""
    token = chosen.set(server)
    try:
        yield
    finally:
        chosen.reset(token)
