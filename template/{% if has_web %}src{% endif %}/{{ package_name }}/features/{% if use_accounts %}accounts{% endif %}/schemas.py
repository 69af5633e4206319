"""Users and their files as JSON."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StringConstraints, WithJsonSchema

from ..schemas import Name, optional
from .models import Role

Email = Annotated[
    str,
    StringConstraints(max_length=254),
    WithJsonSchema({"type": "string", "format": "email", "maxLength": 254}),
]
Password = Annotated[str, StringConstraints(min_length=8, max_length=128), Field(repr=False)]
# What separates folders, controls a terminal or turns the direction of a text.
REFUSED = r"/\\\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"
# Nor is it of dots and blanks alone.
Filename = Annotated[
    str, StringConstraints(max_length=255, pattern=rf"^[. ]*[^{REFUSED}. ][^{REFUSED}]*$")
]
TOKEN = r"[A-Za-z0-9!#$%&'*+.^_`|~-]+"
ContentType = Annotated[
    str, StringConstraints(max_length=128, pattern=rf"^{TOKEN}/{TOKEN}(; ?{TOKEN}={TOKEN})*$")
]
Size = Annotated[int, Field(strict=True, ge=0, le=2**63 - 1)]


class UserCreate(BaseModel):
    """A new user."""

    model_config = ConfigDict(extra="forbid")

    email: Email
    password: Password
    full_name: Name
    role: Role = Role.VIEWER


class UserUpdate(BaseModel):
    """What may change; what is left out stays."""

    model_config = ConfigDict(extra="forbid")

    email: Email = optional()
    password: Password = optional()
    full_name: Name = optional()
    role: Role = optional()
    is_active: StrictBool = optional()


class UserRead(BaseModel):
    """A stored user."""

    model_config = ConfigDict(from_attributes=True)

    id: UUID
    email: str
    full_name: str
    role: Role
    is_active: bool
    created_at: datetime
    updated_at: datetime


class FileCreate(BaseModel):
    """What is known about a new file; the size is in bytes."""

    model_config = ConfigDict(extra="forbid")

    filename: Filename
    content_type: ContentType
    size: Size


class FileRead(BaseModel):
    """What is stored about a file; the size is in bytes."""

    model_config = ConfigDict(from_attributes=True)

    id: UUID
    user_id: UUID
    filename: str
    content_type: str
    size: int
    created_at: datetime
    updated_at: datetime
