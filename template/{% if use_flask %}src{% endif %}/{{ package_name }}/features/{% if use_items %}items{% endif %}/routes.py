"""The URLs of items."""

from __future__ import annotations

from uuid import UUID

from flask import Blueprint

from ...api.endpoint import endpoint
from ...db.pages import Page
from ...db.repository import Row
from ..dependencies import new_unit_of_work
from ..schemas import PageQuery, PageRead
from . import service
from .models import Item
from .schemas import ItemCreate, ItemRead, ItemUpdate

blueprint = Blueprint("items", __name__, url_prefix="/items")


@blueprint.post("")
@endpoint(ItemRead, status=201)
def create_item(body: ItemCreate) -> Item:
    """Store a new item."""
    return service.create_item(new_unit_of_work(), Item(**body.model_dump()))


@blueprint.get("")
@endpoint(PageRead[ItemRead])
def list_items(query: PageQuery) -> Page[Row]:
    """List the items, oldest first."""
    return service.list_items(new_unit_of_work(), after=query.after, limit=query.limit)


@blueprint.get("/<item_id>")
@endpoint(ItemRead)
def read_item(item_id: UUID) -> Row:
    """Show one item."""
    return service.read_item(new_unit_of_work(), item_id)


@blueprint.patch("/<item_id>")
@endpoint(ItemRead)
def change_item(item_id: UUID, body: ItemUpdate) -> Item:
    """Change what the body names."""
    return service.change_item(new_unit_of_work(), item_id, body.model_dump(exclude_unset=True))


@blueprint.delete("/<item_id>")
@endpoint(status=204)
def delete_item(item_id: UUID) -> None:
    """Remove an item."""
    service.delete_item(new_unit_of_work(), item_id)
