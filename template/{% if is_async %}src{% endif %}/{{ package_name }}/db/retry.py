"""Which units of work are done again, and how often."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Coroutine
from functools import wraps
from typing import Any, ParamSpec, TypeVar

from tenacity import (
    AsyncRetrying,
    RetryCallState,
    before_sleep_log,
    retry_if_exception,
    stop_after_attempt,
    stop_after_delay,
    wait_random_exponential,
)

from .errors import BusyError, DataLayerError, OutcomeUnknownError, StaleError, UnreachableError

logger = logging.getLogger(__name__)

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")
Unit = Callable[Arguments, Coroutine[Any, Any, Result]]

ATTEMPTS = 5
# After so many seconds no other attempt begins: what waited for a lock has waited long enough.
SECONDS = 3


def is_transient(error: BaseException) -> bool:
    """Tell whether nothing is stored, and the same unit of work may succeed the next time.

    A unit that took too long, or found no connection free in the pool, would only add to the load.
    """
    is_known = not isinstance(error, OutcomeUnknownError)
    return is_known and isinstance(error, (BusyError, StaleError, UnreachableError))


# Told before each new attempt.
listeners: list[Callable[[RetryCallState], object]] = [before_sleep_log(logger, logging.INFO)]


def _tell(state: RetryCallState) -> None:
    for listener in listeners:
        listener(state)


def repeated_if(
    condition: Callable[[RetryCallState], bool],
) -> Callable[[Unit[Arguments, Result]], Unit[Arguments, Result]]:
    """Let a function be called again while the condition holds, but not for ever.

    The pauses are random, so that those who were in each other's way do not meet again.
    """

    def decorate(function: Unit[Arguments, Result]) -> Unit[Arguments, Result]:
        @wraps(function)
        async def call(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Result:
            began = time.monotonic()
            try:
                return await function(*args, **kwargs)
            except DataLayerError as error:
                failures = [error]

            # The log names what is done again.
            @wraps(function)
            async def attempt() -> Result:
                if failures:
                    raise failures.pop()
                return await function(*args, **kwargs)

            # Only after the first attempt: it takes as long as a small unit of work.
            left = began + SECONDS - time.monotonic()
            again = AsyncRetrying(
                retry=condition,
                wait=wait_random_exponential(multiplier=0.02, max=0.5),
                stop=stop_after_attempt(ATTEMPTS) | stop_after_delay(left),
                before_sleep=_tell,
                reraise=True,
            )
            return await again(attempt)

        return call

    return decorate


# For functions that open a unit of work each time they are called, and that do nothing beside it.
repeated = repeated_if(retry_if_exception(is_transient))
