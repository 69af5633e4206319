"""What it means that a session only reads."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Engine, TextClause, event

from .errors import ReadOnlyError

READ_ONLY = "read_only"


def refuse_writes(engine: Engine) -> None:
    """Let sessions that only read execute nothing else; raises ReadOnlyError."""

    @event.listens_for(engine, "before_execute")
    def check(connection: Connection, statement: Any, *args: Any) -> None:
        if connection.get_execution_options().get(READ_ONLY, False) and not _only_reads(statement):
            raise ReadOnlyError("This unit of work only reads.")


def _only_reads(statement: Any) -> bool:
    if isinstance(statement, TextClause):
        return statement.text.lstrip()[:6].upper() == "SELECT"
    # A lock would last for one statement on one database, and to the end of the unit on another.
    locks = getattr(statement, "_for_update_arg", None) is not None
    return bool(getattr(statement, "is_select", False)) and not locks
