"""Column types that mean the same on every database.

`migration_type` of a type is how a migration writes it, so that migrations import nothing of ours.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Context, Decimal, Inexact, InvalidOperation
from enum import StrEnum
from typing import Any

from sqlalchemy import BigInteger, DateTime, Enum, Numeric, Text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator, TypeEngine

from .errors import InvalidValueError

_UNSTORABLE = (ValueError, RecursionError)
# The zero character in JSON, which PostgreSQL cannot store.
_ZERO = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")


def utc_now() -> datetime:
    """Return the current time, aware, in UTC."""
    return datetime.now(UTC)


class _SqliteUtcDateTime(sqlite.DATETIME):
    """Text that sorts and compares like the times it stands for, as CURRENT_TIMESTAMP writes it."""

    def bind_processor(self, dialect: Dialect) -> Callable[[datetime | None], str | None]:
        return lambda value: None if value is None else value.isoformat(sep=" ")

    def result_processor(
        self, dialect: Dialect, coltype: object
    ) -> Callable[[str | None], datetime | None]:
        return lambda value: None if value is None else _in_utc(datetime.fromisoformat(value))


def _in_utc(value: datetime) -> datetime:
    return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


# The databases that keep a time zone.
_WITH_ZONES = {"postgresql", "cockroachdb"}
_SQLITE_UTC: TypeEngine[Any] = _SqliteUtcDateTime()  # type: ignore[no-untyped-call]


class UtcDateTime(TypeDecorator[datetime]):
    """A moment: takes aware datetimes only, stores UTC, gives aware UTC to the microsecond."""

    impl = DateTime(timezone=True)
    cache_ok = True
    migration_type = "sa.DateTime(timezone=True)"

    @property
    def python_type(self) -> type[datetime]:
        return datetime

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        if dialect.name == "sqlite":
            return dialect.type_descriptor(_SQLITE_UTC)
        return dialect.type_descriptor(DateTime(timezone=True))

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise InvalidValueError("A datetime without a time zone cannot be stored: add tzinfo.")
        try:
            utc = value.astimezone(UTC)
        except OverflowError:
            raise InvalidValueError("In UTC, a datetime lies outside the calendar.") from None
        # The others would not keep the zone.
        return utc if dialect.name in _WITH_ZONES else utc.replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return None if value is None else _in_utc(value)

    def result_processor(
        self, dialect: Dialect, coltype: object
    ) -> Callable[[Any], datetime | None] | None:
        # SQLite's is read as UTC, and an async driver that knows zones gives it.
        if dialect.name == "sqlite" or (dialect.is_async and dialect.name in _WITH_ZONES):
            return self.impl_instance.result_processor(dialect, coltype)
        return super().result_processor(dialect, coltype)


class ExactDecimal(TypeDecorator[Decimal]):
    """A decimal that keeps every digit: NUMERIC, or on SQLite a scaled integer (18 digits)."""

    impl = Numeric
    cache_ok = True

    def __init__(self, precision: int = 18, scale: int = 2) -> None:
        super().__init__(precision, scale)
        self.precision = precision
        self.scale = scale
        # Not the thread's context, which may keep fewer digits than the column.
        self._context = Context(prec=precision, traps=[InvalidOperation, Inexact])

    @property
    def python_type(self) -> type[Decimal]:
        return Decimal

    @property
    def migration_type(self) -> str:
        numeric = f"sa.Numeric({self.precision}, {self.scale})"
        return f'{numeric}.with_variant(sa.BigInteger(), "sqlite")'

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        if dialect.name == "sqlite":
            return dialect.type_descriptor(BigInteger())
        return dialect.type_descriptor(Numeric(self.precision, self.scale))

    def process_bind_param(self, value: Decimal | None, dialect: Dialect) -> Decimal | int | None:
        if value is None:
            return None
        try:
            exact = self._context.quantize(Decimal(value), Decimal(1).scaleb(-self.scale))
        except ArithmeticError:
            exact = Decimal("NaN")
        if exact.is_nan():
            raise InvalidValueError(
                f"A decimal does not fit {self.precision} digits, {self.scale} of them decimals."
            )
        return int(exact.scaleb(self.scale)) if dialect.name == "sqlite" else exact

    def process_result_value(self, value: Decimal | int | None, dialect: Dialect) -> Decimal | None:
        if value is None:
            return None
        return Decimal(value).scaleb(-self.scale) if dialect.name == "sqlite" else Decimal(value)


class JSONString(TypeDecorator[Any]):
    """JSON: JSONB on PostgreSQL, text elsewhere. Assign a new object; never change one in place."""

    impl = Text
    cache_ok = True
    migration_type = 'sa.Text().with_variant(postgresql.JSONB(), "postgresql")'

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        if dialect.name == "postgresql":
            return dialect.type_descriptor(postgresql.JSONB(none_as_null=True))
        return dialect.type_descriptor(Text())

    def coerce_compared_value(self, op: Any, value: Any) -> TypeEngine[Any]:
        # The right side of LIKE is text to look for, not a value to encode.
        return Text() if isinstance(value, str) else self

    def process_bind_param(self, value: Any, dialect: Dialect) -> Any:
        if value is None:
            return None
        try:
            encoded = json.dumps(value, ensure_ascii=False, allow_nan=False)
            encoded.encode()
            if "\\u0000" in encoded and _ZERO.search(encoded):
                raise ValueError
        except _UNSTORABLE:
            raise InvalidValueError("This JSON cannot be stored.") from None
        return value if dialect.name == "postgresql" else encoded

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[Any], Any] | None:
        if dialect.name == "postgresql":
            return self.impl_instance.result_processor(dialect, coltype)
        return lambda value: None if value is None else json.loads(value)


def enum_by_value(members: type[StrEnum]) -> Enum:
    """Return a column type that stores a member's value as text; a new member needs no DDL."""
    return Enum(
        members,
        native_enum=False,
        length=32,
        values_callable=lambda enum: [member.value for member in enum],
        validate_strings=True,
    )
