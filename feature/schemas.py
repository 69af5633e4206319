"""Things as JSON."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Annotated, Any
from uuid import UUID

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, FiniteFloat

from ..schemas import Name, Text, optional
from .models import Thing

Integer = Annotated[int, Field(ge=-(2**31), lt=2**31)]
BigInteger = Annotated[int, Field(ge=-(2**63), lt=2**63)]
# With the digits that will be stored, so that it is answered as it will be read.
Amount = Annotated[
    Decimal,
    Field(max_digits=18, decimal_places=2),
    AfterValidator(lambda amount: amount.quantize(Decimal("0.01"))),
]
# The first and the last day are out: in another time zone they may lie outside the calendar.
Moment = Annotated[
    AwareDatetime,
    Field(ge=datetime(1, 1, 2, tzinfo=UTC), lt=datetime(9999, 12, 31, tzinfo=UTC)),
    AfterValidator(lambda moment: moment.astimezone(UTC)),
]


class ThingCreate(BaseModel):
    """A new thing."""

    model_config = ConfigDict(extra="forbid")

    # FIELDS TO CREATE


class ThingUpdate(BaseModel):
    """What may change; what is left out stays."""

    model_config = ConfigDict(extra="forbid")

    # FIELDS TO UPDATE


class ThingRead(BaseModel):
    """A stored thing."""

    model_config = ConfigDict(from_attributes=True)

    id: UUID
    # FIELDS TO READ
    created_at: datetime
    updated_at: datetime
