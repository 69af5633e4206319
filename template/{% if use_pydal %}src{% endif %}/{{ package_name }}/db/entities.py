"""How instances of the models become rows and rows become instances, without SQLAlchemy's session.

The models note which attributes were changed; here that is read, and set right after each flush.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any

from sqlalchemy import Column, MetaData, Table, inspect
from sqlalchemy.orm import make_transient, make_transient_to_detached
from sqlalchemy.orm.attributes import get_history, set_committed_value

from .base import Base
from .derivation import is_filled_in, python_default, python_onupdate

Identity = tuple[Any, ...]


@cache
def columns_of(model: type[Base]) -> Mapping[str, Column[Any]]:
    """Return the columns of a model by the names of its attributes."""
    return {
        attribute.key: column
        for attribute in inspect(model).column_attrs
        if isinstance(column := attribute.columns[0], Column)
    }


@cache
def key_of(model: type[Base]) -> tuple[str, ...]:
    """Return the names of the attributes that tell one row from another."""
    mapper = inspect(model)
    return tuple(mapper.get_property_by_column(column).key for column in mapper.primary_key)


def table_of(model: type[Base]) -> Table:
    """Return the table of a model."""
    table = model.__table__
    assert isinstance(table, Table)
    return table


def rank(entity: Base) -> int:
    """Return the place of the entity's table when parents come before their children."""
    table = table_of(type(entity))
    return _ranks(table.metadata, len(table.metadata.tables))[table.key]


@cache
def _ranks(metadata: MetaData, tables: int) -> Mapping[str, int]:
    return {table.key: number for number, table in enumerate(metadata.sorted_tables)}


def identity_of(entity: Base) -> Identity | None:
    """Return the key under which the entity is stored; None if it is not."""
    identity: Identity | None = inspect(entity).identity
    return identity


def make(model: type[Base], values: Mapping[str, Any]) -> Base:
    """Return a new instance for a row; nothing of it counts as changed."""
    entity: Base = inspect(model).class_manager.new_instance()
    entity.__dict__.update(values)
    make_transient_to_detached(entity)
    return entity


def refresh(entity: Base, values: Mapping[str, Any]) -> None:
    """Take over what is stored, and forget what was changed."""
    for name, value in values.items():
        set_committed_value(entity, name, value)


def mark_stored(entity: Base, values: Mapping[str, Any]) -> None:
    """Note that these values are stored now, under the key that they have."""
    refresh(entity, values)
    if identity_of(entity) is not None and any(name in values for name in key_of(type(entity))):
        make_transient(entity)
    if identity_of(entity) is None:
        make_transient_to_detached(entity)


def forget(entities: Iterable[Base]) -> None:
    """Note that these are not stored after all, so that adding them inserts them again."""
    for entity in entities:
        make_transient(entity)


def changed_values(entity: Base) -> dict[str, Any]:
    """Return the attributes that were set to another value since they were stored or read."""
    if not inspect(entity).modified:
        return {}
    return {
        name: entity.__dict__[name]
        for name in columns_of(type(entity))
        if name in entity.__dict__ and get_history(entity, name).has_changes()
    }


def values_for_update(entity: Base) -> dict[str, Any]:
    """Return what changed, with the columns that move with each change."""
    values = changed_values(entity)
    for name, column in columns_of(type(entity)).items():
        moves = python_onupdate(column)
        if moves is not None and name not in values:
            values[name] = moves()
    return values


def values_for_insert(entity: Base) -> dict[str, Any]:
    """Return the values of a new row, without those that the database fills in."""
    values = {}
    for name, column in columns_of(type(entity)).items():
        value = entity.__dict__.get(name)
        default = python_default(column)
        if value is None and default is not None:
            value = default()
        if value is not None or not is_filled_in(column):
            values[name] = value
    return values
