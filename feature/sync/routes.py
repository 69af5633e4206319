"""The URLs of things."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, status

from ...db.pages import Page
from ...db.repository import Row
from ..dependencies import NewUnitOfWork
from ..schemas import PageQuery, PageRead
from . import service
from .models import Thing
from .schemas import ThingCreate, ThingRead, ThingUpdate

router = APIRouter(prefix="/things", tags=["things"])


@router.post("", response_model=ThingRead, status_code=status.HTTP_201_CREATED)
def create_thing(uow: NewUnitOfWork, body: ThingCreate) -> Thing:
    """Store a new thing."""
    return service.create_thing(uow, Thing(**body.model_dump()))


@router.get("", response_model=PageRead[ThingRead])
def list_things(uow: NewUnitOfWork, page: Annotated[PageQuery, Query()]) -> Page[Row]:
    """List the things, oldest first."""
    return service.list_things(uow, after=page.after, limit=page.limit)


@router.get("/{thing_id}", response_model=ThingRead)
def read_thing(uow: NewUnitOfWork, thing_id: UUID) -> Row:
    """Show one thing."""
    return service.read_thing(uow, thing_id)


@router.patch("/{thing_id}", response_model=ThingRead)
def change_thing(uow: NewUnitOfWork, thing_id: UUID, body: ThingUpdate) -> Thing:
    """Change what the body names."""
    return service.change_thing(uow, thing_id, body.model_dump(exclude_unset=True))


@router.delete("/{thing_id}", status_code=status.HTTP_204_NO_CONTENT)
def delete_thing(uow: NewUnitOfWork, thing_id: UUID) -> None:
    """Remove a thing."""
    service.delete_thing(uow, thing_id)
