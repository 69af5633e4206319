"""Each request has an id, is counted, timed and logged; what is counted is at /metrics."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from time import perf_counter
from typing import Any

from flask import Blueprint, Flask, Response, request

from ..db.engine import Database
from ..db.metrics import observe as observe_engines
from ..db.observed import engines_of
from . import problems, tracing
from .logs import log_request
from .metrics import MEDIA_TYPE, PATH, count_request, exposition
from .request_id import FIELD, HEADER, begin_request, current

Environ = dict[str, Any]
Start = Callable[..., Any]
Application = Callable[[Environ, Start], Iterable[bytes]]

blueprint = Blueprint("metrics", __name__)


@blueprint.get(PATH)
def metrics() -> Response:
    """Tell Prometheus what was counted."""
    return Response(exposition(), content_type=MEDIA_TYPE)


def observe(app: Flask, database: Database) -> None:
    """Count and time the requests of an application, and what its database does."""
    engines = engines_of(database)
    observe_engines(engines)
    app.register_blueprint(blueprint)
    app.after_request(_name_problem)
    app.wsgi_app = Observer(app.wsgi_app)  # type: ignore[method-assign]
    if tracing.is_tracing():
        tracing.trace(engine for _, engine in engines)
        app.after_request(_describe_span)
        app.wsgi_app = _traced(app.wsgi_app)  # type: ignore[assignment, method-assign]


class Observer:
    """Gives each request an id, and counts, times and logs it."""

    def __init__(self, app: Application) -> None:
        self._app = app

    def __call__(self, environ: Environ, start_response: Start) -> Iterable[bytes]:
        """Serve a request."""
        began = perf_counter()
        request_id = begin_request(environ.get("HTTP_X_REQUEST_ID"))
        environ[FIELD] = request_id
        # What a client gets if there is no answer.
        answered, rule = 500, None

        def start(status: str, headers: list[tuple[str, str]], *error: Any) -> Any:
            nonlocal answered, rule
            # Flask takes its request away at the end.
            answered, rule = int(status[:3]), environ["werkzeug.request"].url_rule
            return start_response(status, [*headers, (HEADER, request_id)], *error)

        try:
            return self._app(environ, start)
        finally:
            seconds = perf_counter() - began
            method, path = environ["REQUEST_METHOD"], environ.get("PATH_INFO", "")
            count_request(method, rule.rule if rule else None, answered, seconds)
            # WSGI has bytes as if they were letters.
            named = path.encode("latin-1").decode(errors="replace")
            log_request(method, named, answered, seconds, request_id)
            # What this thread says next is not about this request.
            current.set(None)


def _name_problem(response: Response) -> Response:
    if response.status_code >= 400 and response.mimetype == problems.MEDIA_TYPE:
        body = json.loads(response.get_data()) | {FIELD: request.environ[FIELD]}
        response.set_data(json.dumps(body))
    return response


def _traced(app: Application) -> Application:
    """Make a span of each request, in the trace that it comes from."""
    from opentelemetry.propagate import extract
    from opentelemetry.trace import SpanKind, get_tracer

    tracer = get_tracer(__name__)

    def serve(environ: Environ, start_response: Start) -> Iterable[bytes]:
        method = environ["REQUEST_METHOD"]
        headers = {
            name[5:].replace("_", "-").lower(): value
            for name, value in environ.items()
            if name.startswith("HTTP_")
        }
        with tracer.start_as_current_span(method, extract(headers), SpanKind.SERVER):
            return app(environ, start_response)

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
