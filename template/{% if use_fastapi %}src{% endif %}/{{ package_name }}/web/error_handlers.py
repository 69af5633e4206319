"""Which error gives which status."""

from __future__ import annotations

import logging

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from starlette.exceptions import HTTPException
from starlette.routing import Match

from ..db.errors import (
    ConflictError,
    DataLayerError,
    InvalidCursorError,
    InvalidValueError,
    NotFoundError,
    UnavailableError,
)
from .problems import InvalidField, problem

logger = logging.getLogger(__name__)

# A subclass has its parent's status.
STATUSES: dict[type[DataLayerError], int] = {
    NotFoundError: 404,
    ConflictError: 409,
    InvalidValueError: 422,
    InvalidCursorError: 422,
    UnavailableError: 503,
}

METHODS = ("DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT")


def add_error_handlers(app: FastAPI) -> None:
    """Answer every error with a problem, and none with a traceback."""
    app.add_exception_handler(DataLayerError, _data_layer_problem)
    app.add_exception_handler(RequestValidationError, _validation_problem)
    app.add_exception_handler(HTTPException, _http_problem)
    app.add_exception_handler(Exception, _unexpected_problem)


async def _data_layer_problem(request: Request, error: Exception) -> Response:
    for kind in type(error).__mro__:
        if kind in STATUSES:
            headers = {"Retry-After": "1"} if STATUSES[kind] == 503 else None
            return problem(STATUSES[kind], str(error), headers=headers)
    logger.error("%s %s failed", request.method, request.url.path, exc_info=error)
    return problem(500, "Something went wrong here; it has been logged.")


async def _validation_problem(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    # The input is not repeated: it may be a password.
    errors = [
        InvalidField(field=".".join(str(part) for part in entry["loc"]), reason=entry["msg"])
        for entry in error.errors()
    ]
    return problem(422, "The request does not have the documented shape.", errors=errors)


async def _http_problem(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    headers = dict(error.headers) if error.headers else {}
    if error.status_code == 405:
        headers["Allow"] = ", ".join(_allowed_methods(request))
    return problem(error.status_code, error.detail, headers=headers)


def _allowed_methods(request: Request) -> list[str]:
    """Return every method of the path: the router names those of one route, and others share it."""
    return [
        method
        for method in METHODS
        if any(
            route.matches({**request.scope, "method": method})[0] is Match.FULL
            for route in request.app.routes
        )
    ]


async def _unexpected_problem(request: Request, error: Exception) -> Response:
    # The server logs it with its traceback.
    return problem(500, "Something went wrong here; it has been logged.")
