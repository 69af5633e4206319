"""Each request has an id, is counted, timed and logged; what is counted is at /metrics."""

from __future__ import annotations

import json
from collections.abc import Awaitable
from time import perf_counter

from fastapi import APIRouter, FastAPI, Response
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ..db.engine import Database
from ..db.metrics import observe as observe_engines
from ..db.observed import engines_of
from . import problems, tracing
from .logs import log_request
from .metrics import MEDIA_TYPE, PATH, count_request, exposition
from .request_id import FIELD, HEADER, begin_request

router = APIRouter()

_NAME = HEADER.lower().encode()


@router.get(PATH, include_in_schema=False)
def metrics() -> Response:
    """Tell Prometheus what was counted."""
    return Response(exposition(), media_type=MEDIA_TYPE)


def observe(app: FastAPI, database: Database) -> None:
    """Show what is counted, and count and time what the database does."""
    app.include_router(router)
    engines = engines_of(database)
    observe_engines(engines)
    if tracing.is_tracing():
        tracing.trace(engine for _, engine in engines)


class ObservedFastAPI(FastAPI):
    """An application whose answers to errors are observed too."""

    def build_middleware_stack(self) -> ASGIApp:
        """Return the application with all its layers, the outermost of which observes."""
        return Observer(super().build_middleware_stack())


class Observer:
    """Gives each request an id, and counts, times and logs it."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request, or pass on what is none."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = perf_counter()
        answer = Answer(send, begin_request(_value_of(scope, _NAME)))
        try:
            await self._app(scope, receive, answer.send)
        finally:
            seconds = perf_counter() - began
            route = getattr(scope.get("route"), "path", None)
            count_request(scope["method"], route, answer.status, seconds)
            log_request(scope["method"], scope["path"], answer.status, seconds, answer.request_id)


class Answer:
    """Sends an answer with the id of its request, in a problem's body too."""

    def __init__(self, send: Send, request_id: str) -> None:
        self.request_id = request_id
        # What a client gets if there is no answer.
        self.status = 500
        self._send = send
        self._problem: Message | None = None

    def send(self, message: Message) -> Awaitable[None]:
        """Send a part of the answer."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            message["headers"].append((_NAME, self.request_id.encode()))
            if self.status >= 400 and _value_of(message, b"content-type") == problems.MEDIA_TYPE:
                return self._keep(message)
        elif self._problem is not None:
            return self._send_problem(self._problem, message)
        return self._send(message)

    async def _keep(self, start: Message) -> None:
        # Its length is known with its body.
        self._problem = start

    async def _send_problem(self, start: Message, message: Message) -> None:
        self._problem = None
        body = json.loads(message["body"]) | {FIELD: self.request_id}
        message["body"] = json.dumps(body).encode()
        MutableHeaders(scope=start)["content-length"] = str(len(message["body"]))
        await self._send(start)
        await self._send(message)


def _value_of(message: Scope | Message, name: bytes) -> str | None:
    # Quicker than to make an object of all headers.
    for key, value in message["headers"]:
        if key == name:
            return str(value, "latin-1")
    return None
