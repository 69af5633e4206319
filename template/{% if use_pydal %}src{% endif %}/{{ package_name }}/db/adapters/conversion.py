"""How values get to the driver and back by the types of the models, as SQLAlchemy does it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlalchemy.engine import Dialect
from sqlalchemy.exc import StatementError
from sqlalchemy.types import TypeEngine

from ..errors import DataLayerError

# The number of NUMERIC where a driver tells the types of what it found by number.
_NUMERIC = 1700

Processor = Callable[[Any], Any] | None


class ColumnType(str):
    """The name of a PyDAL type, with the type of SQLAlchemy that converts the values."""

    converts: TypeEngine[Any]
    # Found out when first needed, and kept here: types in criteria come and go with each request.
    encoder: Processor
    decoder: Processor


def column_type(name: str, converts: TypeEngine[Any]) -> ColumnType:
    """Return PyDAL's name of a type, with what converts the values."""
    type_ = ColumnType(name)
    type_.converts = converts
    return type_


class Converter:
    """Converts values to what the driver takes, and back, by the types of the models."""

    def __init__(self, dialect: Dialect) -> None:
        self.dialect = dialect

    def encoder(self, type_: ColumnType) -> Processor:
        """Return what makes a value fit for the driver. Ask when the engine has connected once."""
        if not hasattr(type_, "encoder"):
            fitting = type_.converts.dialect_impl(self.dialect)
            type_.encoder = fitting.bind_processor(self.dialect)
        return type_.encoder

    def decoder(self, type_: ColumnType) -> Processor:
        """Return what makes a value of the driver one of the models."""
        if not hasattr(type_, "decoder"):
            fitting = type_.converts.dialect_impl(self.dialect)
            type_.decoder = fitting.result_processor(self.dialect, _NUMERIC)
        return type_.decoder

    def encode(self, value: Any, type_: object) -> Any:
        """Return the value as the driver takes it."""
        encoder = self.encoder(type_) if isinstance(type_, ColumnType) else None
        try:
            return encoder(value) if encoder is not None else value
        except DataLayerError:
            raise
        except Exception as error:
            # As SQLAlchemy does; the text of the statement would not help.
            raise StatementError(str(error), "", None, error) from error

    def decode(self, value: Any, type_: ColumnType) -> Any:
        """Return the driver's value as the models have it."""
        decoder = self.decoder(type_)
        return decoder(value) if decoder is not None else value
