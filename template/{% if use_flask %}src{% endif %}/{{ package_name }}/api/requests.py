"""What a request holds, and what is wrong with it."""

from __future__ import annotations

import json
from typing import Any

from flask import request
from pydantic import TypeAdapter, ValidationError
from werkzeug.exceptions import BadRequest

# The parameters of a view that are no part of its path.
BODY, QUERY, HEADER = "body", "query", "header"


class InvalidRequestError(Exception):
    """The request does not have the documented shape; `fields` says where, and why."""

    def __init__(self, fields: list[tuple[str, str]]) -> None:
        super().__init__(fields)
        self.fields = fields


def read_arguments(
    types: dict[str, TypeAdapter[Any]], lists: set[str], headers: set[str], path: dict[str, str]
) -> dict[str, Any]:
    """Return what a view is called with; raises InvalidRequestError for all that is wrong."""
    received: dict[str, Any] = dict(path)
    if BODY in types:
        received[BODY] = _read_json()
    if QUERY in types:
        received[QUERY] = _read_query(lists)
    if HEADER in types:
        # A header's name is the same in capitals, and not to a dictionary.
        received[HEADER] = {
            name: request.headers[name] for name in headers if name in request.headers
        }
    arguments: dict[str, Any] = {}
    wrong: list[tuple[str, str]] = []
    for name, adapter in types.items():
        place = name if name in (BODY, QUERY, HEADER) else f"path.{name}"
        if name == BODY and received[BODY] == b"":
            wrong.append((BODY, "Field required"))
            continue
        try:
            arguments[name] = adapter.validate_python(received[name], from_attributes=True)
        except ValidationError as error:
            wrong += _fields_of(place, error)
    if wrong:
        raise InvalidRequestError(wrong)
    return arguments


def _read_query(lists: set[str]) -> dict[str, Any]:
    """Return each name with its last value, or with all that it has if it is one of `lists`."""
    return {name: values if name in lists else values[-1] for name, values in request.args.lists()}


def _read_json() -> Any:
    """Return the JSON of the body, or its bytes if it is empty or does not say that it is JSON."""
    data = request.get_data()
    if not data or not request.is_json:
        return data
    try:
        return json.loads(data)
    except json.JSONDecodeError as error:
        raise InvalidRequestError([(f"{BODY}.{error.pos}", "JSON decode error")]) from None
    except (ValueError, RecursionError) as error:
        raise BadRequest("There was an error parsing the body") from error


def _fields_of(place: str, error: ValidationError) -> list[tuple[str, str]]:
    # The input is not repeated: it may be a password.
    entries = error.errors(include_url=False, include_context=False, include_input=False)
    return [(".".join(map(str, [place, *entry["loc"]])), entry["msg"]) for entry in entries]
