"""How errors are answered."""

from __future__ import annotations

import logging

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.routing import Match

from ..db.errors import DataLayerError
from .problems import (
    MALFORMED,
    MEDIA_TYPE,
    UNEXPECTED,
    InvalidField,
    headers_of,
    problem_json,
    status_of,
)

logger = logging.getLogger(__name__)

METHODS = ("DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT")


def add_error_handlers(app: FastAPI) -> None:
    """Answer every error with a problem, and none with a traceback."""
    app.add_exception_handler(DataLayerError, _data_layer_problem)
    app.add_exception_handler(RequestValidationError, _validation_problem)
    app.add_exception_handler(HTTPException, _http_problem)
    app.add_exception_handler(Exception, _unexpected_problem)


def problem(
    status: int,
    detail: str,
    *,
    errors: list[InvalidField] | None = None,
    headers: dict[str, str] | None = None,
) -> JSONResponse:
    """Return the response for a problem."""
    body = problem_json(status, detail, errors)
    return JSONResponse(body, status, headers=headers, media_type=MEDIA_TYPE)


async def _data_layer_problem(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, DataLayerError)
    status = status_of(error)
    if status != 500:
        return problem(status, str(error), headers=headers_of(error))
    logger.error("%s %s failed", request.method, request.url.path, exc_info=error)
    return problem(500, UNEXPECTED)


async def _validation_problem(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    # The input is not repeated: it may be a password.
    errors = [
        InvalidField(field=".".join(str(part) for part in entry["loc"]), reason=entry["msg"])
        for entry in error.errors()
    ]
    return problem(422, MALFORMED, errors=errors)


async def _http_problem(request: Request, error: Exception) -> JSONResponse:
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


async def _unexpected_problem(request: Request, error: Exception) -> JSONResponse:
    # The server logs it with its traceback.
    return problem(500, UNEXPECTED)
