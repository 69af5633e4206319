"""Rows for reading: the values of some columns, by attribute."""

from __future__ import annotations

from functools import cache
from operator import itemgetter
from typing import TYPE_CHECKING, Any


class Row(tuple[Any, ...]):
    """The values of a row in order; each is an attribute too, and none can be changed."""

    __slots__ = ()
    _fields: tuple[str, ...] = ()

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any: ...


@cache
def row_type(names: tuple[str, ...]) -> type[Row]:
    """Return the type of rows with these attributes."""
    attributes = {name: property(itemgetter(number)) for number, name in enumerate(names)}
    return type("Row", (Row,), {"__slots__": (), "_fields": names, **attributes})
