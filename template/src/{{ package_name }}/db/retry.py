"""Which units of work are done again, and how often."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from tenacity import (
    RetryCallState,
    before_sleep_log,
    retry,
    retry_if_exception,
    stop_after_attempt,
    stop_after_delay,
    wait_random_exponential,
)

from .errors import BusyError, OutcomeUnknownError, StaleError, UnreachableError

logger = logging.getLogger(__name__)

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")

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
) -> Callable[[Callable[Arguments, Result]], Callable[Arguments, Result]]:
    """Let a function be called again while the condition holds, but not for ever.

    The pauses are random, so that those who were in each other's way do not meet again.
    """
    return retry(
        retry=condition,
        wait=wait_random_exponential(multiplier=0.02, max=0.5),
        stop=stop_after_attempt(ATTEMPTS) | stop_after_delay(SECONDS),
        before_sleep=_tell,
        reraise=True,
    )


# For functions that open a unit of work each time they are called, and that do nothing beside it.
repeated = repeated_if(retry_if_exception(is_transient))
