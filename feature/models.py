"""What a thing is."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, Double, ForeignKey, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from ...db.base import Base, HasId, HasTimestamps
from ...db.types import JSONString, enum_by_value


# ENUMS
class Thing(HasId, HasTimestamps, Base):
    """A thing."""

    __tablename__ = "things"

    # COLUMNS
