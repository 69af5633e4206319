"""What a user and a file are."""

from __future__ import annotations

from enum import StrEnum
from uuid import UUID

from sqlalchemy import BigInteger, ForeignKey, String, true
from sqlalchemy.orm import Mapped, mapped_column, validates

from ...db.base import Base, HasId, HasTimestamps
from ...db.idempotency import HasIdempotencyKey
from ...db.types import enum_by_value
from .emails import normalise_email


class Role(StrEnum):
    """What a user may do."""

    VIEWER = "viewer"
    EDITOR = "editor"
    ADMIN = "admin"


class User(HasId, HasTimestamps, Base):
    """Somebody who has an account."""

    __tablename__ = "users"

    email: Mapped[str] = mapped_column(String(255), unique=True, index=True)
    hashed_password: Mapped[str] = mapped_column(String(255))
    full_name: Mapped[str] = mapped_column(String(255))
    role: Mapped[Role] = mapped_column(
        enum_by_value(Role), default=Role.VIEWER, server_default=Role.VIEWER
    )
    is_active: Mapped[bool] = mapped_column(default=True, server_default=true())

    @validates("email")
    def _normalise(self, key: str, value: str) -> str:
        return normalise_email(value)


class File(HasIdempotencyKey, HasTimestamps, Base):
    """What is known about an uploaded file; it goes with its user."""

    __tablename__ = "files"

    filename: Mapped[str] = mapped_column(String(255))
    content_type: Mapped[str] = mapped_column(String(128))
    size: Mapped[int] = mapped_column(BigInteger)
    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
