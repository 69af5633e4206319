"""What the admin page shows of a model, and what can be changed there."""

from __future__ import annotations

import json
import re
from typing import Any
from uuid import UUID

from sqladmin import ModelView
from sqladmin.forms import ModelConverter
from sqladmin.helpers import object_identifier_values
from sqlalchemy import Column, Enum, Float, LargeBinary, Uuid, inspect
from sqlalchemy.orm import ColumnProperty
from starlette.exceptions import HTTPException
from starlette.requests import Request
from wtforms import FloatField, SelectField, StringField, TextAreaField

from ..db.base import Base, HasTimestamps
from ..db.translation import translate
from ..db.types import JSONString

# Columns with such names are never shown; others can say info={"secret": True}, and these False.
SECRET = re.compile(
    r"password|passwd|secret|token|hash|salt|(api|private)_?key|keys?(?![a-z])", re.IGNORECASE
)


class JSONText(TextAreaField):
    """JSON, as text that is checked."""

    data: Any

    def _value(self) -> str:
        if self.raw_data:
            return str(self.raw_data[0])
        return "" if self.data is None else json.dumps(self.data, ensure_ascii=False)

    def process_formdata(self, valuelist: list[Any]) -> None:
        text = valuelist[0] if valuelist else ""
        try:
            self.data = json.loads(text) if text.strip() else None
        except ValueError:
            raise ValueError("This is not JSON.") from None


class UUIDText(StringField):
    """The id of a row."""

    data: Any

    def process_formdata(self, valuelist: list[Any]) -> None:
        text = valuelist[0].strip() if valuelist else ""
        try:
            self.data = UUID(text) if text else None
        except ValueError:
            raise ValueError("This is not a UUID.") from None


class Converter(ModelConverter):
    """Chooses the form's field for a column's type."""

    def get_converter(self, prop: Any) -> Any:
        """Return what makes a field for a model's attribute."""
        kind = prop.columns[0].type if isinstance(prop, ColumnProperty) else None
        if isinstance(kind, JSONString):
            return lambda model, prop, kwargs: JSONText(**kwargs)
        if isinstance(kind, Float):
            return lambda model, prop, kwargs: FloatField(**kwargs)
        if isinstance(kind, Uuid):
            return lambda model, prop, kwargs: UUIDText(**kwargs)
        if isinstance(kind, Enum):
            return lambda model, prop, kwargs: enum_field(kind, prop.columns[0].nullable, kwargs)
        return super().get_converter(prop)


def enum_field(kind: Enum, is_nullable: bool, kwargs: dict[str, Any]) -> SelectField:
    """Return a choice that shows the member that is stored, whatever it is called in Python."""
    members = kind.enum_class.__members__.values() if kind.enum_class else kind.enums
    stored = dict(zip(members, kind.enums, strict=True))
    none = [("", "")] if is_nullable else []
    if is_nullable:
        kwargs["filters"] = [lambda text: text or None]
    kwargs["choices"] = [*none, *((text, text) for text in kind.enums)]
    return SelectField(coerce=lambda value: stored.get(value, value or ""), **kwargs)


class View(ModelView):
    """What the views of all models have in common."""

    form_converter = Converter
    form_include_pk = True
    page_size = 50

    async def get_object_for_details(self, request: Request) -> Any:
        """Return the row to show, change or remove; a 404 if none can have such an id."""
        try:
            object_identifier_values(request.path_params["pk"], self.model)
        except ValueError:
            raise HTTPException(404) from None
        return await super().get_object_for_details(request)

    async def insert_model(self, request: Request, data: dict[str, Any]) -> Any:
        """Store a new row."""
        try:
            return await super().insert_model(request, data)
        except Exception as error:
            raise translate(error) or error from error

    async def update_model(self, request: Request, pk: str, data: dict[str, Any]) -> Any:
        """Change a row."""
        try:
            return await super().update_model(request, pk, data)
        except Exception as error:
            raise translate(error) or error from error


def view_of(model: type[Base]) -> type[ModelView]:
    """Return the view of a model, without what is secret."""
    columns: dict[str, Any] = {one.key: one.columns[0] for one in inspect(model).column_attrs}
    shown: list[Any] = [key for key, column in columns.items() if not is_secret(key, column)]
    editable = [key for key in shown if is_editable(key, columns[key])]
    hidden = [column for key, column in columns.items() if key not in shown]

    class ModelsView(View, model=model):
        column_list = shown
        column_details_list = shown
        column_export_list = shown
        column_sortable_list = shown
        form_columns = editable
        # Who has a password, for instance, gets it from the service.
        can_create = all(column.nullable or column.default is not None for column in hidden)

    return ModelsView


def is_secret(key: str, column: Column[Any]) -> bool:
    """Tell whether nobody may see a column."""
    named = SECRET.search(key) or SECRET.search(column.name)
    return bool(column.info.get("secret", named)) or isinstance(column.type, LargeBinary)


def is_editable(key: str, column: Column[Any]) -> bool:
    """Tell whether people set a column, and not the service or the database."""
    is_counted = column is column.table.autoincrement_column
    is_made = column.primary_key and (column.default is not None or is_counted)
    return not is_made and column.computed is None and key not in HasTimestamps.__annotations__
