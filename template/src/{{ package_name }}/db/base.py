"""What every model has: names for its constraints, an id, timestamps, a safe repr."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any, ClassVar
from uuid import UUID

from sqlalchemy import MetaData, inspect, text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from uuid_utils.compat import uuid7

from .types import ExactDecimal, UtcDateTime, utc_now


class Base(DeclarativeBase):
    """The class of all models."""

    # Explicit names, because an unnamed constraint cannot be altered on every database.
    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map: ClassVar[dict[Any, Any]] = {
        datetime: UtcDateTime(),
        Decimal: ExactDecimal(),
    }

    def to_dict(self) -> dict[str, Any]:
        """Return every column's value by attribute name."""
        return {attribute.key: getattr(self, attribute.key) for attribute in self._columns()}

    def __repr__(self) -> str:
        """Name the row and nothing in it: other columns may hold secrets."""
        identity = inspect(self).identity or ("new",)
        return f"<{type(self).__name__} {', '.join(map(str, identity))}>"

    @classmethod
    def _columns(cls) -> Any:
        return inspect(cls).column_attrs


class HasId:
    """An id made here, not by the database, that grows with time (UUIDv7, RFC 9562)."""

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7, sort_order=-1)


class HasTimestamps:
    """When the row was stored and last changed; other writers than this service get them too."""

    created_at: Mapped[datetime] = mapped_column(
        default=utc_now, server_default=text("CURRENT_TIMESTAMP"), sort_order=1
    )
    updated_at: Mapped[datetime] = mapped_column(
        default=utc_now,
        onupdate=utc_now,
        server_default=text("CURRENT_TIMESTAMP"),
        sort_order=2,
    )
