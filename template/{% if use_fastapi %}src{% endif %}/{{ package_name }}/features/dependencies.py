"""What routes are given."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Request

from .unit_of_work import UnitOfWork


async def new_unit_of_work(request: Request) -> UnitOfWork:
    """Return a unit of work that is not open yet: the service opens it, and commits in time."""
    return UnitOfWork(request.app.state.database)


NewUnitOfWork = Annotated[UnitOfWork, Depends(new_unit_of_work)]
