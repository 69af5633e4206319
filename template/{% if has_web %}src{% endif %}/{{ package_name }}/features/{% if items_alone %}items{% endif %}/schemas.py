"""Items as JSON."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from pydantic import BaseModel, ConfigDict

from ..schemas import Name, Text, optional


class ItemCreate(BaseModel):
    """A new item."""

    model_config = ConfigDict(extra="forbid")

    name: Name
    description: Text | None = None


class ItemUpdate(BaseModel):
    """What may change; what is left out stays."""

    model_config = ConfigDict(extra="forbid")

    name: Name = optional()
    description: Text | None = None


class ItemRead(BaseModel):
    """A stored item."""

    model_config = ConfigDict(from_attributes=True)

    id: UUID
    name: str
    description: str | None
    created_at: datetime
    updated_at: datetime
