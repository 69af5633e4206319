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
async def create_user(uow: NewUnitOfWork, body: UserCreate) -> User:
    """Store a new user."""
    return await service.create_user(uow, **body.model_dump())


@router.get("/users", response_model=PageRead[UserRead])
async def list_users(uow: NewUnitOfWork, page: Annotated[PageQuery, Query()]) -> Page[Row]:
    """List the users, oldest first."""
    return await service.list_users(uow, after=page.after, limit=page.limit)


@router.get("/users/{user_id}", response_model=UserRead)
async def read_user(uow: NewUnitOfWork, user_id: UUID) -> Row:
    """Show one user."""
    return await service.read_user(uow, user_id)


@router.patch("/users/{user_id}", response_model=UserRead)
async def update_user(uow: NewUnitOfWork, user_id: UUID, body: UserUpdate) -> User:
    """Change what the body names."""
    return await service.update_user(uow, user_id, body.model_dump(exclude_unset=True))


@router.delete("/users/{user_id}", status_code=status.HTTP_204_NO_CONTENT)
async def delete_user(uow: NewUnitOfWork, user_id: UUID) -> None:
    """Remove a user and their files."""
    await service.delete_user(uow, user_id)


@router.post("/users/{user_id}/files", response_model=FileRead, status_code=status.HTTP_201_CREATED)
async def add_file(
    uow: NewUnitOfWork,
    user_id: UUID,
    body: FileCreate,
    header: Annotated[OnceHeader, Header()],
) -> File:
    """Store what is known about a user's file; with a key, sending it again shows it."""
    file = File(user_id=user_id, **body.model_dump())
    asked = body.model_dump(mode="json", exclude_unset=True)
    file.made_for(header.idempotency_key, asked, owner=user_id)
    return await service.add_file(uow, file)


@router.get("/users/{user_id}/files", response_model=PageRead[FileRead])
async def list_files(
    uow: NewUnitOfWork, user_id: UUID, page: Annotated[PageQuery, Query()]
) -> Page[Row]:
    """List a user's files, oldest first."""
    return await service.list_files(uow, user_id, after=page.after, limit=page.limit)


@router.get("/files/{file_id}", response_model=FileRead)
async def read_file(uow: NewUnitOfWork, file_id: UUID) -> Row:
    """Show one file."""
    return await service.read_file(uow, file_id)


@router.delete("/files/{file_id}", status_code=status.HTTP_204_NO_CONTENT)
async def delete_file(uow: NewUnitOfWork, file_id: UUID) -> None:
    """Remove a file."""
    await service.delete_file(uow, file_id)
