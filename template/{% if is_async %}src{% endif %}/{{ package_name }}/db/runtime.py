"""The driver of SQLite, and how plain code calls async code."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any, ParamSpec, TypeVar

SQLITE_DRIVER = "aiosqlite"
# For a cursor that does not hold all its rows.
SQLITE_CURSOR = {"server_side": True}

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


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
