"""The admin page: the rows of every model, for whoever knows the password."""

from __future__ import annotations

import hmac
import time
from collections import deque

from fastapi import FastAPI
from pwdlib import PasswordHash
from sqladmin import Admin
from sqladmin.authentication import AuthenticationBackend
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from ..admin_settings import AdminSettings
from ..db.base import Base
from ..db.engine import Database
from ..db.settings import DatabaseSettings, Environment
from .admin_views import view_of

USER = "admin"
PATH = "/admin"
# Seconds that somebody stays logged in without a click.
STAY = 8 * 3600
# How often a password may be tried in a minute, by all together; each process counts its own.
TRIES = 10


def add_admin(app: FastAPI, database: Database, settings: DatabaseSettings) -> None:
    """Serve the admin page, if the settings have a password for it."""
    if not isinstance(settings, AdminSettings) or settings.admin_password_hash is None:
        return
    gate = Gate(settings, is_secure=settings.environment is Environment.PRODUCTION)
    admin = Admin(app, database.engine, base_url=PATH, title=app.title, authentication_backend=gate)
    for mapper in sorted(Base.registry.mappers, key=lambda mapper: mapper.class_.__name__):
        admin.add_view(view_of(mapper.class_))


class Gate(AuthenticationBackend):
    """Lets those in who know the password, and slows down those who guess."""

    def __init__(self, settings: AdminSettings, *, is_secure: bool) -> None:
        assert settings.admin_password_hash is not None
        assert settings.admin_session_secret is not None
        secret = settings.admin_session_secret.get_secret_value()
        super().__init__(
            secret,
            session_cookie=USER,
            max_age=STAY,
            path=PATH,
            # No other site can send it, and so none can change anything here.
            same_site="strict",
            https_only=is_secure,
        )
        self._hash = settings.admin_password_hash.get_secret_value()
        self._hasher = PasswordHash.recommended()
        # Another password ends every session.
        self._mark = hmac.digest(secret.encode(), self._hash.encode(), "sha256").hex()
        self._tries: deque[float] = deque(maxlen=TRIES)

    async def login(self, request: Request) -> Response | bool:
        """Begin a session if the password is right."""
        now = time.monotonic()
        if len(self._tries) == TRIES and now - self._tries[0] < 60:
            headers = {"Retry-After": "60"}
            return PlainTextResponse("Too many attempts: wait a minute.", 429, headers=headers)
        self._tries.append(now)
        form = await request.form()
        name, password = str(form.get("username", "")), str(form.get("password", ""))
        # In a thread, because it takes tens of milliseconds; for a wrong name just as many.
        is_right = await run_in_threadpool(self._hasher.verify, password, self._hash)
        if not is_right or name != USER:
            return False
        self._tries.clear()
        request.session["mark"] = self._mark
        return True

    async def logout(self, request: Request) -> bool:
        """End the session; the page that follows asks for the password."""
        request.session.clear()
        return False

    async def authenticate(self, request: Request) -> bool:
        """Tell whether the request belongs to a session."""
        return hmac.compare_digest(str(request.session.get("mark", "")), self._mark)
