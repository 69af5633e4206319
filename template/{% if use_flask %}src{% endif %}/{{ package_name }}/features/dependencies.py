"""What routes work with."""

from __future__ import annotations

from flask import current_app

from .unit_of_work import UnitOfWork


def new_unit_of_work() -> UnitOfWork:
    """Return a unit of work that is not open yet: the service opens it, and commits in time."""
    return UnitOfWork(current_app.extensions["database"])
