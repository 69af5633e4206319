"""The URLs of things."""

from __future__ import annotations

from uuid import UUID

from flask import Blueprint

from ...api.endpoint import endpoint
from ...db.pages import Page
from ...db.repository import Row
from ..dependencies import new_unit_of_work
from ..schemas import PageQuery, PageRead
from . import service
from .models import Thing
from .schemas import ThingCreate, ThingRead, ThingUpdate

blueprint = Blueprint("things", __name__, url_prefix="/things")


@blueprint.post("")
@endpoint(ThingRead, status=201)
def create_thing(body: ThingCreate) -> Thing:
    """Store a new thing."""
    return service.create_thing(new_unit_of_work(), Thing(**body.model_dump()))


@blueprint.get("")
@endpoint(PageRead[ThingRead])
def list_things(query: PageQuery) -> Page[Row]:
    """List the things, oldest first."""
    return service.list_things(new_unit_of_work(), after=query.after, limit=query.limit)


@blueprint.get("/<thing_id>")
@endpoint(ThingRead)
def read_thing(thing_id: UUID) -> Row:
    """Show one thing."""
    return service.read_thing(new_unit_of_work(), thing_id)


@blueprint.patch("/<thing_id>")
@endpoint(ThingRead)
def change_thing(thing_id: UUID, body: ThingUpdate) -> Thing:
    """Change what the body names."""
    return service.change_thing(new_unit_of_work(), thing_id, body.model_dump(exclude_unset=True))


@blueprint.delete("/<thing_id>")
@endpoint(status=204)
def delete_thing(thing_id: UUID) -> None:
    """Remove a thing."""
    service.delete_thing(new_unit_of_work(), thing_id)
