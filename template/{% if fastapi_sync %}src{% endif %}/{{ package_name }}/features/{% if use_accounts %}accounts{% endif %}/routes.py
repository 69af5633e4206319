"""The URLs of users and their files."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Header, Query, status

from ...api.idempotency import OnceHeader
from ...db.pages import Page
from ...db.repository import Row
from ..dependencies import NewUnitOfWork
from ..schemas import PageQuery, PageRead
from . import service
from .models import File, User
from .schemas import FileCreate, FileRead, UserCreate, UserRead, UserUpdate

router = APIRouter(tags=["accounts"])


@router.post("/users", response_model=UserRead, status_code=status.HTTP_201_CREATED)
def create_user(uow: NewUnitOfWork, body: UserCreate) -> User:
    """Store a new user."""
    return service.create_user(uow, **body.model_dump())


@router.get("/users", response_model=PageRead[UserRead])
def list_users(uow: NewUnitOfWork, page: Annotated[PageQuery, Query()]) -> Page[Row]:
    """List the users, oldest first."""
    return service.list_users(uow, after=page.after, limit=page.limit)


@router.get("/users/{user_id}", response_model=UserRead)
def read_user(uow: NewUnitOfWork, user_id: UUID) -> Row:
    """Show one user."""
    return service.read_user(uow, user_id)


@router.patch("/users/{user_id}", response_model=UserRead)
def update_user(uow: NewUnitOfWork, user_id: UUID, body: UserUpdate) -> User:
    """Change what the body names."""
    return service.update_user(uow, user_id, body.model_dump(exclude_unset=True))


@router.delete("/users/{user_id}", status_code=status.HTTP_204_NO_CONTENT)
def delete_user(uow: NewUnitOfWork, user_id: UUID) -> None:
    """Remove a user and their files."""
    service.delete_user(uow, user_id)


@router.post("/users/{user_id}/files", response_model=FileRead, status_code=status.HTTP_201_CREATED)
def add_file(
    uow: NewUnitOfWork,
    user_id: UUID,
    body: FileCreate,
    header: Annotated[OnceHeader, Header()],
) -> File:
    """Store what is known about a user's file; with a key, sending it again shows it."""
    file = File(user_id=user_id, **body.model_dump())
    asked = body.model_dump(mode="json", exclude_unset=True)
    file.made_for(header.idempotency_key, asked, owner=user_id)
    return service.add_file(uow, file)


@router.get("/users/{user_id}/files", response_model=PageRead[FileRead])
def list_files(uow: NewUnitOfWork, user_id: UUID, page: Annotated[PageQuery, Query()]) -> Page[Row]:
    """List a user's files, oldest first."""
    return service.list_files(uow, user_id, after=page.after, limit=page.limit)


@router.get("/files/{file_id}", response_model=FileRead)
def read_file(uow: NewUnitOfWork, file_id: UUID) -> Row:
    """Show one file."""
    return service.read_file(uow, file_id)


@router.delete("/files/{file_id}", status_code=status.HTTP_204_NO_CONTENT)
def delete_file(uow: NewUnitOfWork, file_id: UUID) -> None:
    """Remove a file."""
    service.delete_file(uow, file_id)
