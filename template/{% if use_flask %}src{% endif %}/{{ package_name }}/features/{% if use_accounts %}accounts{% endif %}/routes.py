"""The URLs of users and their files."""

from __future__ import annotations

from uuid import UUID

from flask import Blueprint

from ...api.endpoint import endpoint
from ...api.idempotency import OnceHeader
from ...db.pages import Page
from ...db.repository import Row
from ..dependencies import new_unit_of_work
from ..schemas import PageQuery, PageRead
from . import service
from .models import File, User
from .schemas import FileCreate, FileRead, UserCreate, UserRead, UserUpdate

blueprint = Blueprint("accounts", __name__)


@blueprint.post("/users")
@endpoint(UserRead, status=201)
def create_user(body: UserCreate) -> User:
    """Store a new user."""
    return service.create_user(new_unit_of_work(), **body.model_dump())


@blueprint.get("/users")
@endpoint(PageRead[UserRead])
def list_users(query: PageQuery) -> Page[Row]:
    """List the users, oldest first."""
    return service.list_users(new_unit_of_work(), after=query.after, limit=query.limit)


@blueprint.get("/users/<user_id>")
@endpoint(UserRead)
def read_user(user_id: UUID) -> Row:
    """Show one user."""
    return service.read_user(new_unit_of_work(), user_id)


@blueprint.patch("/users/<user_id>")
@endpoint(UserRead)
def update_user(user_id: UUID, body: UserUpdate) -> User:
    """Change what the body names."""
    return service.update_user(new_unit_of_work(), user_id, body.model_dump(exclude_unset=True))


@blueprint.delete("/users/<user_id>")
@endpoint(status=204)
def delete_user(user_id: UUID) -> None:
    """Remove a user and their files."""
    service.delete_user(new_unit_of_work(), user_id)


@blueprint.post("/users/<user_id>/files")
@endpoint(FileRead, status=201)
def add_file(user_id: UUID, body: FileCreate, header: OnceHeader) -> File:
    """Store what is known about a user's file; with a key, sending it again shows it."""
    file = File(user_id=user_id, **body.model_dump())
    asked = body.model_dump(mode="json", exclude_unset=True)
    file.made_for(header.idempotency_key, asked, owner=user_id)
    return service.add_file(new_unit_of_work(), file)


@blueprint.get("/users/<user_id>/files")
@endpoint(PageRead[FileRead])
def list_files(user_id: UUID, query: PageQuery) -> Page[Row]:
    """List a user's files, oldest first."""
    return service.list_files(new_unit_of_work(), user_id, after=query.after, limit=query.limit)


@blueprint.get("/files/<file_id>")
@endpoint(FileRead)
def read_file(file_id: UUID) -> Row:
    """Show one file."""
    return service.read_file(new_unit_of_work(), file_id)


@blueprint.delete("/files/<file_id>")
@endpoint(status=204)
def delete_file(file_id: UUID) -> None:
    """Remove a file."""
    service.delete_file(new_unit_of_work(), file_id)
