"""What can be done with users and their files; each function is one transaction."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from ...db.errors import DuplicateError, NotFoundError, ReferenceMissingError
from ...db.idempotency import idempotent, stored_before
from ...db.pages import Page
from ...db.repository import Row
from ...db.retry import repeated
from ..unit_of_work import UnitOfWork
from .emails import normalise_email
from .errors import EmailTakenError, InvalidEmailError
from .models import File, Role, User
from .passwords import hash_password, verify_password


@repeated
def create_user(
    uow: UnitOfWork, *, email: str, password: str, full_name: str, role: Role = Role.VIEWER
) -> User:
    """Store a new user; raises InvalidEmailError and EmailTakenError."""
    user = User(email=email, full_name=full_name, role=role)
    user.hashed_password = hash_password(password)
    try:
        with uow:
            uow.users.add(user)
    except DuplicateError:
        raise EmailTakenError from None
    return user


@repeated
def read_user(uow: UnitOfWork, user_id: UUID) -> Row:
    """Return one user without the password; raises NotFoundError."""
    with uow.read_only():
        return uow.users.read_one(user_id)


@repeated
def list_users(uow: UnitOfWork, *, after: str | None, limit: int) -> Page[Row]:
    """Return a page of users, oldest first; raises InvalidCursorError."""
    with uow.read_only():
        return uow.users.page(after=after, limit=limit)


@repeated
def get_user_by_email(uow: UnitOfWork, email: str) -> User | None:
    """Return the user with this address, in whatever case, or None."""
    try:
        with uow.read_only():
            return uow.users.get_by_email(email)
    except InvalidEmailError:
        return None


@repeated
def update_user(uow: UnitOfWork, user_id: UUID, changes: dict[str, Any]) -> User:
    """Set some attributes of a user, or the password.

    Raises NotFoundError, InvalidEmailError and EmailTakenError.
    """
    changes = changes.copy()
    # Before the database is asked for anything.
    if "email" in changes:
        changes["email"] = normalise_email(changes["email"])
    if "password" in changes:
        changes["hashed_password"] = hash_password(changes.pop("password"))
    try:
        with uow:
            user = uow.users.get_one(user_id, for_update=True)
            for name, value in changes.items():
                setattr(user, name, value)
    except DuplicateError:
        raise EmailTakenError from None
    return user


@repeated
def delete_user(uow: UnitOfWork, user_id: UUID) -> None:
    """Remove a user and, by the foreign key, their files; raises NotFoundError."""
    with uow:
        uow.users.delete(uow.users.get_one(user_id, for_update=True))


def authenticate(uow: UnitOfWork, *, email: str, password: str) -> User | None:
    """Return the active user with this address and password, or None."""
    user = get_user_by_email(uow, email)
    if user is None:
        # As much work as checking a password: the time does not tell which addresses are known.
        hash_password(password)
        return None
    is_right = verify_password(password, user.hashed_password)
    return user if is_right and user.is_active else None


@idempotent
def add_file(uow: UnitOfWork, file: File) -> File:
    """Store what is known about a user's file, or return it if that is done.

    Raises NotFoundError if there is no such user, and KeyReusedError.
    """
    try:
        with uow:
            earlier = stored_before(uow.files, file)
            if earlier is not None:
                return earlier
            uow.files.add(file)
    except ReferenceMissingError:
        raise NotFoundError(f"No user has the id {file.user_id}.") from None
    return file


@repeated
def read_file(uow: UnitOfWork, file_id: UUID) -> Row:
    """Return one file; raises NotFoundError."""
    with uow.read_only():
        return uow.files.read_one(file_id)


@repeated
def list_files(uow: UnitOfWork, user_id: UUID, *, after: str | None, limit: int) -> Page[Row]:
    """Return a page of a user's files, oldest first; raises NotFoundError, InvalidCursorError."""
    with uow.read_only():
        uow.users.read_one(user_id)
        return uow.files.page(File.user_id == user_id, after=after, limit=limit)


@repeated
def delete_file(uow: UnitOfWork, file_id: UUID) -> None:
    """Remove a file; raises NotFoundError."""
    with uow:
        uow.files.delete(uow.files.get_one(file_id, for_update=True))
