"""How long a health check waits for the database."""

from __future__ import annotations

from concurrent.futures import Future
from threading import Thread

from ..db.engine import Database
from ..db.errors import UnavailableError
from ..db.health import current_heads


def probe(database: Database, seconds: float) -> frozenset[str]:
    """Return the schema's revisions; raises UnavailableError, after `seconds` at the latest."""
    answer: Future[frozenset[str]] = Future()

    def ask() -> None:
        try:
            answer.set_result(current_heads(database))
        except BaseException as error:
            answer.set_exception(error)

    # A daemon, because the end of the process need not wait for what nobody waits for.
    Thread(target=ask, daemon=True).start()
    try:
        return answer.result(seconds)
    except TimeoutError:
        raise UnavailableError(f"The database did not answer within {seconds:g} s.") from None
