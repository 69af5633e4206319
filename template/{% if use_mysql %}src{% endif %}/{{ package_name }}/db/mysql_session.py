"""What a session on MySQL or MariaDB begins with."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .settings import DatabaseSettings

# As strict as MySQL is by itself: a value that does not fit is an error, not cut.
_STRICT = (
    "STRICT_ALL_TABLES,ONLY_FULL_GROUP_BY,ERROR_FOR_DIVISION_BY_ZERO,"
    "NO_ZERO_DATE,NO_ZERO_IN_DATE,NO_ENGINE_SUBSTITUTION"
)


def session(settings: DatabaseSettings, version: str, *, for_migrations: bool) -> str:
    """Return the statement that sets up a session on a server of this version."""
    lock_timeout = max(1, math.ceil(settings.database_lock_timeout))
    timeout = 0 if for_migrations else settings.database_statement_timeout
    values: dict[str, Any] = {
        "time_zone": "'+00:00'",
        "collation_connection": "'utf8mb4_bin'",
        "sql_mode": f"'{_STRICT}'",
        # For rows, and for tables that somebody alters.
        "innodb_lock_wait_timeout": lock_timeout,
        "lock_wait_timeout": lock_timeout,
    }
    # What was committed is seen at once, as on PostgreSQL: to read a row again, and to lock it,
    # never meets a row that is older than what others see, and fewer locks are taken.
    isolation = "'READ-COMMITTED'"
    if "mariadb" in version.lower():
        values |= {
            "tx_isolation": isolation,
            "max_statement_time": timeout,
            "idle_transaction_timeout": math.ceil(timeout),
        }
    else:
        values |= {"transaction_isolation": isolation, "max_execution_time": round(timeout * 1000)}
    return "SET " + ", ".join(f"SESSION {name} = {value}" for name, value in values.items())
