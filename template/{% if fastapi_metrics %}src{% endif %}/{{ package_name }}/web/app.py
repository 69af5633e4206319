"""The application: the features' routes, the health checks and the error handlers."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI

from ..db.engine import Database
from ..features.routes import router
from ..settings import Settings
from . import health
from .database import close
from .error_handlers import add_error_handlers
from .observed import ObservedFastAPI, observe
from .observed import router as metrics
from .problems import problem_responses


def create_app(settings: Settings | None = None) -> FastAPI:
    """Return a new application; raises SettingsError. It connects with the first request."""
    settings = settings or Settings.load()
    app = ObservedFastAPI(title=__package__.partition(".")[0], lifespan=_lifespan)
    app.state.database = Database(settings)
    observe(app.state.database)
    app.include_router(health.router)
    app.include_router(metrics)
    app.include_router(router, responses=problem_responses())
    add_error_handlers(app)
    return app


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    yield
    await close(app.state.database)
