"""What an item is."""

from __future__ import annotations

from sqlalchemy import String, Text
from sqlalchemy.orm import Mapped, mapped_column

from ...db.base import Base, HasId, HasTimestamps


class Item(HasId, HasTimestamps, Base):
    """Something with a name."""

    __tablename__ = "items"

    name: Mapped[str] = mapped_column(String(255), index=True)
    description: Mapped[str | None] = mapped_column(Text)
