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
async def create_item(uow: NewUnitOfWork, body: ItemCreate) -> Item:
    """Store a new item."""
    return await service.create_item(uow, Item(**body.model_dump()))


@router.get("", response_model=PageRead[ItemRead])
async def list_items(uow: NewUnitOfWork, page: Annotated[PageQuery, Query()]) -> Page[Row]:
    """List the items, oldest first."""
    return await service.list_items(uow, after=page.after, limit=page.limit)


@router.get("/{item_id}", response_model=ItemRead)
async def read_item(uow: NewUnitOfWork, item_id: UUID) -> Row:
    """Show one item."""
    return await service.read_item(uow, item_id)


@router.patch("/{item_id}", response_model=ItemRead)
async def change_item(uow: NewUnitOfWork, item_id: UUID, body: ItemUpdate) -> Item:
    """Change what the body names."""
    return await service.change_item(uow, item_id, body.model_dump(exclude_unset=True))


@router.delete("/{item_id}", status_code=status.HTTP_204_NO_CONTENT)
async def delete_item(uow: NewUnitOfWork, item_id: UUID) -> None:
    """Remove an item."""
    await service.delete_item(uow, item_id)
