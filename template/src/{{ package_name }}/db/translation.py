"""What the errors of SQLAlchemy and of the drivers mean."""

from __future__ import annotations

import re
from typing import Any

from sqlalchemy import exc
from sqlalchemy.orm.exc import StaleDataError

from .backends import LANGUAGES
from .errors import UNFIT, UNREACHABLE, DataLayerError, Meaning, StaleError, UnavailableError

# How libpq and Python say that an argument is none of `connect`'s.
_OPTION = re.compile(r"(?:invalid connection option|keyword argument) [\"'](\w+)[\"']")


def translate(error: BaseException) -> DataLayerError | None:
    """Return what an error of SQLAlchemy means here; None if it is a programming error.

    The text never repeats the driver's, which may hold values or credentials.
    """
    if isinstance(error, StaleDataError):
        return StaleError("The row was changed by somebody else; read it again.")
    if isinstance(error, exc.TimeoutError):
        busy = UnavailableError("All database connections are busy.")
        # Who holds them is for the developers, not for the caller.
        for note in getattr(error, "__notes__", ()):
            busy.add_note(note)
        return busy
    if isinstance(error, exc.StatementError) and isinstance(error.orig, DataLayerError):
        return error.orig
    if isinstance(error, exc.DBAPIError) and error.orig is not None:
        meaning = _meaning(error, error.orig)
        return meaning[0](meaning[1]) if meaning else None
    return None


def translate_driver(error: BaseException) -> DataLayerError | None:
    """Return what an error of a driver means; None if it is a programming error."""
    _, meaning = _look_up(error)
    return meaning[0](meaning[1]) if meaning else None


def translate_connect(error: Exception) -> DataLayerError:
    """Return what it means that a connection could not be made, whatever the driver raised."""
    if isinstance(error, DataLayerError):
        return error
    if unknown := _OPTION.search(str(error)):
        return UnavailableError(f"The URL has an option that is not known: {unknown[1]}.")
    return translate_driver(error) or UNREACHABLE[0](UNREACHABLE[1])


def _meaning(error: exc.DBAPIError, original: BaseException) -> Meaning | None:
    # A value that the driver could not send: no error of the database, so it has no code.
    if isinstance(error, exc.DataError) or isinstance(original.__cause__, ValueError):
        return UNFIT
    code, meaning = _look_up(original)
    if meaning is not None:
        return meaning
    is_vague = code is None and isinstance(error, (exc.OperationalError, exc.InterfaceError))
    return UNREACHABLE if error.connection_invalidated or is_vague else None


def _look_up(error: BaseException) -> tuple[Any, Meaning | None]:
    for language in LANGUAGES.values():
        code = language.code_of(error)
        if code is not None:
            return code, language.MEANINGS.get(code)
    return None, None
