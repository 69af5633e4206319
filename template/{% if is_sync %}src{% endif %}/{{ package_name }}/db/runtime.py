"""How this service talks to its database: the drivers, and how a command calls the data layer."""

from __future__ import annotations

from collections.abc import Callable
from typing import ParamSpec, TypeVar

DRIVERS = {"sqlite": "pysqlite", "postgresql": "psycopg"}

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


def run(
    function: Callable[Arguments, Result], *args: Arguments.args, **kwargs: Arguments.kwargs
) -> Result:
    """Call a function of the data layer from a command and return its result."""
    return function(*args, **kwargs)
