"""The URLs of items."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, status

from ...db.pages import Page
from ...db.repository import Row
from ..dependencies import NewUnitOfWork
from ..schemas import PageQuery, PageRead
from . import service
from .models import Item
from .schemas import ItemCreate, ItemRead, ItemUpdate

router = APIRouter(prefix="/items", tags=["items"])


@router.post("", response_model=ItemRead, status_code=status.HTTP_201_CREATED)
def create_item(uow: NewUnitOfWork, body: ItemCreate) -> Item:
    """Store a new item."""
    return service.create_item(uow, Item(**body.model_dump()))


@router.get("", response_model=PageRead[ItemRead])
def list_items(uow: NewUnitOfWork, page: Annotated[PageQuery, Query()]) -> Page[Row]:
    """List the items, oldest first."""
    return service.list_items(uow, after=page.after, limit=page.limit)


@router.get("/{item_id}", response_model=ItemRead)
def read_item(uow: NewUnitOfWork, item_id: UUID) -> Row:
    """Show one item."""
    return service.read_item(uow, item_id)


@router.patch("/{item_id}", response_model=ItemRead)
def change_item(uow: NewUnitOfWork, item_id: UUID, body: ItemUpdate) -> Item:
    """Change what the body names."""
    return service.change_item(uow, item_id, body.model_dump(exclude_unset=True))


@router.delete("/{item_id}", status_code=status.HTTP_204_NO_CONTENT)
def delete_item(uow: NewUnitOfWork, item_id: UUID) -> None:
    """Remove an item."""
    service.delete_item(uow, item_id)
