"""The driver of SQLite, and how a command calls the data layer."""

from __future__ import annotations

import sys
from code import InteractiveConsole
from collections.abc import Callable
from types import FrameType
from typing import Any, ParamSpec, TypeVar

SQLITE_DRIVER = "pysqlite"
SQLITE_CURSOR: dict[str, Any] = {}

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


def run(
    function: Callable[Arguments, Result], *args: Arguments.args, **kwargs: Arguments.kwargs
) -> Result:
    """Call a function of the data layer from a command and return its result."""
    return function(*args, **kwargs)


def interact(names: dict[str, Any], command: str | None, close: Callable[[], None]) -> None:
    """Run a command with these names, or what somebody types."""
    try:
        if command is None:
            banner = f"At hand: {', '.join(sorted(names))}."
            InteractiveConsole(names).interact(banner, exitmsg="")
        else:
            exec(compile(command, "<command>", "exec"), names)
    finally:
        close()


def calling_frame() -> FrameType | None:
    """Return where the code stands that waits for SQLAlchemy."""
    return sys._getframe(1)
