"""A request that comes twice is done once: its client gave it a key, or its row has the id."""

from __future__ import annotations

import hashlib
import json
from typing import Any, Self, TypeVar

from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column
from tenacity import RetryCallState
from uuid_utils.compat import uuid7

from .base import HasId
from .errors import DuplicateError, InvalidValueError, OutcomeUnknownError
from .repository import Repository
from .retry import is_transient, repeated_if

MEETINGS = 2


class KeyReusedError(InvalidValueError):
    """The idempotency key came with another request before."""

    def __init__(self) -> None:
        super().__init__("This idempotency key came with another request before.")


class HasIdempotencyKey(HasId):
    """The request that a row was made for, as digests: keys are of any length, requests private."""

    idempotency_key: Mapped[str | None] = mapped_column(String(64), unique=True, sort_order=3)
    request_digest: Mapped[str | None] = mapped_column(
        String(64), sort_order=4, info={"secret": True}
    )

    def made_for(self, key: str | None, request: Any, *, owner: object = None) -> Self:
        """Note the key of the request, if it has one, and what it asks for, as plain JSON.

        Two owners may use the same key.
        """
        if key is not None:
            self.idempotency_key = _digest([key, str(owner)])
            self.request_digest = _digest([request, str(owner)])
        return self


Entity = TypeVar("Entity", bound=HasIdempotencyKey)


async def stored_before(repository: Repository[Any], entity: Entity) -> Entity | None:
    """Return the row that the same request has made before, if any; raises KeyReusedError.

    One with the id of the entity is from an earlier try of this very unit, whose commit was never
    answered: what it had to do after the commit is still to be done.
    """
    found: Entity | None = None
    if entity.id is None:
        # Now, so that the next try has the same.
        entity.id = uuid7()
    else:
        found = await repository.get(entity.id)
    if found is None and entity.idempotency_key is not None:
        same_key = type(entity).idempotency_key == entity.idempotency_key
        found = await repository.first(same_key)
    if found is not None and found.request_digest != entity.request_digest:
        raise KeyReusedError
    return found


def may_be_repeated(state: RetryCallState) -> bool:
    """Tell whether a unit that looks for what is stored already is to be done again.

    Where two do the same at once, the later one meets a row that it did not find before.
    """
    error = state.outcome.exception() if state.outcome else None
    if isinstance(error, DuplicateError):
        return state.attempt_number <= MEETINGS
    return isinstance(error, OutcomeUnknownError) or (error is not None and is_transient(error))


# In place of `repeated`, for functions that are the same done twice as done once: also after a
# commit of which nobody knows whether it is stored.
idempotent = repeated_if(may_be_repeated)


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
