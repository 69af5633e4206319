"""Views that are called with what they name, and whose answers have the shape that they promise."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, get_type_hints

from flask import Response
from pydantic import TypeAdapter

from .requests import HEADER, QUERY, read_arguments

MEDIA_TYPE = "application/json"


class Endpoint:
    """A view with the types of its request and of its answer.

    Its parameter `body` is the JSON of the request, `query` is what stands behind the question
    mark, `header` is what the headers say, and every other one is a part of the path. A tuple that
    it returns holds the status too.
    """

    def __init__(
        self, view: Callable[..., Any], returns: Any, status: int, others: dict[int, str]
    ) -> None:
        functools.update_wrapper(self, view)
        hints = get_type_hints(view, include_extras=True)
        hints.pop("return", None)
        self.view = view
        self.types: dict[str, TypeAdapter[Any]] = {
            name: TypeAdapter(hint) for name, hint in hints.items()
        }
        self.lists = _lists_in(self.types[QUERY]) if QUERY in hints else set()
        self.headers = set(_fields_of(self.types[HEADER])) if HEADER in hints else set()
        self.returns: TypeAdapter[Any] | None = None if returns is None else TypeAdapter(returns)
        self.status = status
        self.others = others

    def __call__(self, **path: str) -> Response:
        """Answer the request that is being served."""
        result = self.view(**read_arguments(self.types, self.lists, self.headers, path))
        # A row of a database may be a kind of tuple too.
        result, status = result if type(result) is tuple else (result, self.status)
        if self.returns is None:
            return Response(status=status, mimetype=MEDIA_TYPE)
        checked = self.returns.validate_python(result, from_attributes=True)
        return Response(self.returns.dump_json(checked), status, mimetype=MEDIA_TYPE)


def endpoint(
    returns: Any = None, *, status: int = 200, others: dict[int, str] | None = None
) -> Callable[[Callable[..., Any]], Endpoint]:
    """Make a function a view that answers JSON of a type, or nothing.

    `others` says of further statuses what they mean.
    """
    return lambda view: Endpoint(view, returns, status, others or {})


def _fields_of(model: TypeAdapter[Any]) -> dict[str, Any]:
    """Return the schema of each field, by the name that a client uses."""
    fields: dict[str, Any] = model.json_schema()["properties"]
    return fields


def _lists_in(model: TypeAdapter[Any]) -> set[str]:
    """Return the fields that may be named more than once."""
    return {
        name
        for name, field in _fields_of(model).items()
        if any(kind.get("type") == "array" for kind in [field, *field.get("anyOf", ())])
    }
