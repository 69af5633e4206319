"""The driver of SQLite, and how plain code calls async code."""

from __future__ import annotations

import ast
import asyncio
import inspect
import sys
from code import InteractiveConsole
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from types import CodeType, FrameType, FunctionType
from typing import Any, ParamSpec, TypeVar

import greenlet  # type: ignore[import-untyped]

SQLITE_DRIVER = "aiosqlite"
# For a cursor that does not hold all its rows.
SQLITE_CURSOR = {"server_side": True}

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")

# Lets code that is typed await, as the code of an async function does.
_AWAIT = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT


def run(
    function: Callable[Arguments, Coroutine[Any, Any, Result]],
    *args: Arguments.args,
    **kwargs: Arguments.kwargs,
) -> Result:
    """Call an async function from plain code and return its result.

    Inside a running event loop it runs in a thread, because a loop cannot run another.
    """
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(function(*args, **kwargs))
    with ThreadPoolExecutor(max_workers=1) as executor:
        return executor.submit(lambda: asyncio.run(function(*args, **kwargs))).result()


def interact(
    names: dict[str, Any], command: str | None, close: Callable[[], Coroutine[Any, Any, None]]
) -> None:
    """Run a command with these names, or what somebody types; `await` works in both."""
    with asyncio.Runner() as runner:
        console = _Console(names, runner)
        try:
            if command is None:
                console.interact(f"At hand: {', '.join(sorted(names))}; await works.", exitmsg="")
            else:
                console.run(compile(command, "<command>", "exec", _AWAIT))
        finally:
            runner.run(close())


class _Console(InteractiveConsole):
    """Runs everything in one event loop, because connections belong to theirs."""

    def __init__(self, names: dict[str, Any], runner: asyncio.Runner) -> None:
        super().__init__(names)
        self.runner = runner
        self.compile.compiler.flags |= _AWAIT

    def run(self, code: CodeType) -> None:
        result = FunctionType(code, self.locals)()
        if inspect.iscoroutine(result):
            self.runner.run(result)

    def runcode(self, code: CodeType) -> None:
        try:
            self.run(code)
        except SystemExit:
            raise
        except BaseException:
            # Ctrl-C ends the statement, not the console.
            self.showtraceback()


def calling_frame() -> FrameType | None:
    """Return where the code stands that waits for SQLAlchemy, which has a stack of its own."""
    parent = greenlet.getcurrent().parent
    return parent.gr_frame if parent else sys._getframe(1)
