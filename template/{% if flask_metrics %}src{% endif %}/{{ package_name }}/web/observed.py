"""Each request has an id, is counted, timed and logged; what is counted is at /metrics."""

from __future__ import annotations

import json
from collections.abc import Iterable
from time import perf_counter
from typing import TYPE_CHECKING

from flask import Blueprint, Flask, Response, g, request
from structlog.contextvars import bind_contextvars, clear_contextvars

from ..db.engine import Database
from ..db.observed import engines_of
from ..db.observed import observe as observe_database
from . import problems, tracing
from .logs import log_request
from .metrics import MEDIA_TYPE, PATH, count_request, exposition
from .request_id import FIELD, HEADER, fit_id

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

blueprint = Blueprint("metrics", __name__)


@blueprint.get(PATH)
def metrics() -> Response:
    """Tell Prometheus what was counted."""
    return Response(exposition(), content_type=MEDIA_TYPE)


def observe(app: Flask, database: Database) -> None:
    """Count and time the requests of an application, and what its database does."""
    app.register_blueprint(blueprint)
    app.before_request(_begin)
    app.after_request(_end)
    observe_database(database)
    if tracing.is_tracing():
        tracing.trace(engines_of(database))
        app.after_request(_describe_span)
        app.wsgi_app = _traced(app.wsgi_app)  # type: ignore[assignment, method-assign]


def _begin() -> None:
    g.began = perf_counter()
    g.request_id = fit_id(request.headers.get(HEADER))
    # The thread may have served another request before.
    clear_contextvars()
    bind_contextvars(**{FIELD: g.request_id})


def _end(response: Response) -> Response:
    response.headers[HEADER] = g.request_id
    if response.mimetype == problems.MEDIA_TYPE:
        body = json.loads(response.get_data()) | {FIELD: g.request_id}
        response.set_data(json.dumps(body))
    seconds = perf_counter() - g.began
    route = request.url_rule.rule if request.url_rule else None
    count_request(request.method, route, response.status_code, seconds)
    log_request(request.method, request.path, response.status_code, seconds)
    return response


def _traced(app: WSGIApplication) -> WSGIApplication:
    """Make a span of each request, in the trace that it comes from."""
    from opentelemetry.propagate import extract
    from opentelemetry.trace import SpanKind, get_tracer

    tracer = get_tracer(__name__)

    def serve(environment: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        method = environment["REQUEST_METHOD"]
        headers = {
            name[5:].replace("_", "-").lower(): value
            for name, value in environment.items()
            if name.startswith("HTTP_")
        }
        with tracer.start_as_current_span(method, extract(headers), SpanKind.SERVER):
            return app(environment, start_response)

    return serve


def _describe_span(response: Response) -> Response:
    from opentelemetry.trace import get_current_span

    span = get_current_span()
    span.set_attribute("http.request.method", request.method)
    span.set_attribute("http.response.status_code", response.status_code)
    span.set_attribute("url.path", request.path)
    if request.url_rule:
        span.update_name(f"{request.method} {request.url_rule.rule}")
        span.set_attribute("http.route", request.url_rule.rule)
    return response
