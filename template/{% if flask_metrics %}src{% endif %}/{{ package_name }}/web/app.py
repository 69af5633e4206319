"""The application: the features' routes, the health checks and the error handlers."""

from __future__ import annotations

from typing import Any

from flask import Flask
from werkzeug.routing import Rule

from ..db.engine import Database
from ..features.routes import blueprint
from ..settings import Settings
from . import health, openapi
from .error_handlers import add_error_handlers
from .observed import observe


class Route(Rule):
    """A route with the methods that it names, and no HEAD that the document does not know."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.methods = set(options["methods"])


class Application(Flask):
    """The application, whose document names all that it answers."""

    url_rule_class = Route


def create_app(settings: Settings | None = None) -> Flask:
    """Return a new application; raises SettingsError. It connects with the first request."""
    settings = settings or Settings.load()
    app = Application(__package__.partition(".")[0], static_folder=None)
    app.config["PROVIDE_AUTOMATIC_OPTIONS"] = False
    app.url_map.merge_slashes = False
    app.extensions["database"] = Database(settings)
    for part in (health.blueprint, blueprint, openapi.blueprint):
        app.register_blueprint(part)
    add_error_handlers(app)
    observe(app, app.extensions["database"])
    return app
