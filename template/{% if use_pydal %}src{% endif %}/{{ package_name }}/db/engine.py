"""The engine of one application, and PyDAL's tables for the units of work on it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from sqlalchemy import Connection, Engine
from sqlalchemy import create_engine as new_engine

from .adapters.base import Lender
from .adapters.conversion import Converter
from .adapters.tables import Tables
from .base import Base
from .connections import engine_options, prepare, reading_options
from .derivation import derive
from .settings import DatabaseSettings


def create_engine(settings: DatabaseSettings, *, for_migrations: bool = False) -> Engine:
    """Return an engine for these settings; it connects when first used."""
    options = engine_options(settings, for_migrations=for_migrations)
    engine = new_engine(settings.url, **options)
    prepare(engine, settings, for_migrations=for_migrations)
    return engine


def run_on_connection(
    settings: DatabaseSettings,
    function: Callable[[Connection], None],
    *,
    for_migrations: bool = True,
) -> None:
    """Call a plain function with a connection of its own, as migrations or the service need it."""
    engine = create_engine(settings, for_migrations=for_migrations)
    try:
        with engine.connect() as connection:
            function(connection)
    finally:
        engine.dispose()


class Database:
    """An engine, and PyDAL's tables, derived from the models: copies for each unit at work."""

    def __init__(self, settings: DatabaseSettings) -> None:
        self.settings = settings
        self.engine = create_engine(settings)
        self._reading_options = reading_options(settings)
        # Derived now, so that a model that PyDAL cannot have is told at the start.
        self._tables = derive(Base.metadata, Converter(self.engine.dialect))
        self._idle: deque[Tables] = deque()

    def connect(self, *, read_only: bool) -> Connection:
        """Return a connection for a unit of work; it begins with the first statement."""
        connection = self.engine.connect()
        return connection.execution_options(**self._reading_options) if read_only else connection

    def lend_tables(self, lender: Lender) -> Tables:
        """Return PyDAL's tables for a unit of work alone, until it gives them back."""
        try:
            tables = self._idle.pop()
        except IndexError:
            tables = self._tables.another()
        tables.lend(lender)
        return tables

    def take_back(self, tables: Tables, *, was_given_out: bool) -> None:
        """Keep the tables for the next unit of work, unless somebody else may still have them."""
        tables.lend(None)
        if not was_given_out:
            self._idle.append(tables)

    def dispose(self) -> None:
        """Close the connections that nobody uses."""
        self.engine.dispose()
