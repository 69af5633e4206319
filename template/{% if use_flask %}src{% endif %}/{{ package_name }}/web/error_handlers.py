"""How errors are answered."""

from __future__ import annotations

import logging

from flask import Flask, Response, json, request
from werkzeug.exceptions import HTTPException, MethodNotAllowed

from ..api.requests import InvalidRequestError
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


def add_error_handlers(app: Flask) -> None:
    """Answer every error with a problem, and none with a traceback."""
    app.register_error_handler(DataLayerError, _data_layer_problem)
    app.register_error_handler(InvalidRequestError, _validation_problem)
    app.register_error_handler(HTTPException, _http_problem)
    app.register_error_handler(Exception, _unexpected_problem)


def problem(
    status: int,
    detail: str,
    *,
    errors: list[InvalidField] | None = None,
    headers: dict[str, str] | None = None,
) -> Response:
    """Return the response for a problem."""
    body = json.dumps(problem_json(status, detail, errors))
    return Response(body, status, headers, mimetype=MEDIA_TYPE)


def _data_layer_problem(error: DataLayerError) -> Response:
    status = status_of(error)
    if status == 500:
        return _unexpected_problem(error)
    return problem(status, str(error), headers=headers_of(error))


def _validation_problem(error: InvalidRequestError) -> Response:
    errors = [InvalidField(field=field, reason=reason) for field, reason in error.fields]
    return problem(422, MALFORMED, errors=errors)


def _http_problem(error: HTTPException) -> Response:
    if isinstance(error, MethodNotAllowed) and error.valid_methods:
        error.valid_methods = sorted(error.valid_methods)
    headers = {name: value for name, value in error.get_headers() if name != "Content-Type"}
    # The class describes itself in a paragraph; what was written for this case is told.
    detail = vars(error).get("description", error.name)
    return problem(error.code or 500, detail, headers=headers)


def _unexpected_problem(error: Exception) -> Response:
    logger.error("%s %s failed", request.method, request.path, exc_info=error)
    return problem(500, UNEXPECTED)
