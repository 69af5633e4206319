"""Errors as JSON, in the standard's shape (RFC 9457)."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from pydantic import BaseModel

MEDIA_TYPE = "application/problem+json"


class InvalidField(BaseModel):
    """Where the request is wrong, and why."""

    field: str
    reason: str


class Problem(BaseModel):
    """What went wrong."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    errors: list[InvalidField] | None = None


def problem_json(
    status: int, detail: str, errors: list[InvalidField] | None = None
) -> dict[str, Any]:
    """Return the body of an answer that tells a problem."""
    body = Problem(title=HTTPStatus(status).phrase, status=status, detail=detail, errors=errors)
    return body.model_dump(exclude_none=True)


def problem_responses() -> dict[int | str, dict[str, Any]]:
    """Return how OpenAPI says that any request may end in a problem."""
    schema = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
    fields = schema.pop("$defs")["InvalidField"]
    schema["properties"]["errors"] = {"type": "array", "items": fields}
    content = {MEDIA_TYPE: {"schema": schema}}
    return {
        "4XX": {"description": "The request cannot be met", "content": content},
        "5XX": {"description": "The service cannot answer now", "content": content},
    }
