"""What each database needs from its connections."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Dialect, Engine, ExceptionContext, NullPool, event
from sqlalchemy.pool import ConnectionPoolEntry, QueuePool

from .backends import CONNECTORS, LANGUAGES
from .errors import InvalidValueError
from .pool import Holders, pool_options
from .reading import READ_ONLY, refuse_writes
from .settings import DatabaseSettings
from .translation import translate_connect

# Under this name a connection's info has the transaction or savepoint of which a statement failed.
_FAILED = "failed"
_HALF = (
    "a statement of this unit of work failed, and the error was caught: let it leave the block,"
    " or run the statement in a savepoint"
)


def engine_options(settings: DatabaseSettings, *, for_migrations: bool = False) -> dict[str, Any]:
    """Return the arguments of create_engine for these settings, other than the URL."""
    connector = CONNECTORS[settings.url.get_backend_name()]
    return {
        "connect_args": connector.connect_args(settings, for_migrations=for_migrations),
        # An error's text goes to logs and callers; the values of a statement do not.
        "hide_parameters": True,
        "echo": settings.database_echo,
        "pool_recycle": connector.RECYCLE,
        **({"poolclass": NullPool} if for_migrations else pool_options(settings)),
    }


def reading_options(settings: DatabaseSettings) -> dict[str, Any]:
    """Return the execution options of sessions that only read."""
    return {READ_ONLY: True, **LANGUAGES[settings.url.get_backend_name()].READING}


def prepare(engine: Engine, settings: DatabaseSettings, *, for_migrations: bool = False) -> None:
    """Set up every connection that the engine will make."""
    connector = CONNECTORS[engine.dialect.name]

    @event.listens_for(engine, "do_connect")
    def connect(
        dialect: Dialect, record: ConnectionPoolEntry, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        try:
            return connector.connect(dialect, record, args, kwargs, for_migrations=for_migrations)
        except Exception as error:
            raise translate_connect(error) from error

    @event.listens_for(engine, "handle_error")
    def name_unfit_values(context: ExceptionContext) -> None:
        # A number beyond 64 bits, half a character: the driver's error is no error of a database.
        if isinstance(context.original_exception, OverflowError | UnicodeError):
            raise InvalidValueError("A value does not fit its column.")

    if not for_migrations:
        _refuse_half(engine)
    refuse_writes(engine)
    connector.prepare(engine, settings)
    if isinstance(engine.pool, QueuePool):
        Holders(engine, settings)


def _refuse_half(engine: Engine) -> None:
    """Commit no transaction of which a statement failed, unless a savepoint undid that.

    PostgreSQL answers such a COMMIT with a ROLLBACK, which no driver tells; MySQL may have undone
    all that came before; SQLite would store the rest.
    """

    @event.listens_for(engine, "handle_error")
    def note(context: ExceptionContext) -> None:
        connection, statement = context.connection, context.execution_context
        if connection is None or connection.invalidated:
            return
        # MySQL's dialect asks so whether there is a table.
        was_expected = statement and statement.execution_options.get("skip_user_error_events")
        is_of_server = isinstance(context.original_exception, engine.dialect.loaded_dbapi.Error)
        failed = connection.info.get(_FAILED)
        if is_of_server and not was_expected and not (failed and failed.is_active):
            innermost = connection.get_nested_transaction() or connection.get_transaction()
            connection.info[_FAILED] = innermost

    @event.listens_for(engine, "rollback_savepoint")
    def forget(connection: Connection, name: str, context: None) -> None:
        if connection.info.get(_FAILED) is connection.get_nested_transaction():
            del connection.info[_FAILED]

    @event.listens_for(engine, "release_savepoint")
    def keep(connection: Connection, name: str, context: None) -> None:
        if connection.info.get(_FAILED) is connection.get_nested_transaction():
            connection.info[_FAILED] = connection.get_transaction()

    @event.listens_for(engine, "commit")
    def refuse(connection: Connection) -> None:
        failed = connection.info.pop(_FAILED, None)
        if failed is not None and failed is connection.get_transaction():
            raise RuntimeError(_HALF)
