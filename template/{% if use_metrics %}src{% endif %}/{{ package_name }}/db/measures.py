"""Measurements are kept for a moment: to count many at once costs a fraction of the time."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable

from prometheus_client import REGISTRY, Metric

# The library reads it when it is imported, and keeps the numbers of all processes in that folder.
FOLDER = "PROMETHEUS_MULTIPROC_DIR"
# Other processes see only what is in the folder, so nothing is kept then.
AT_ONCE = 1 if os.environ.get(FOLDER) else 500

_kept: deque[tuple[Callable[[float], None], float]] = deque()


def measured(count: Callable[[float], None], value: float) -> None:
    """Count a measurement, at the latest when somebody asks for the numbers."""
    _kept.append((count, value))
    if len(_kept) >= AT_ONCE:
        count_all()


def count_all() -> None:
    """Count what was kept."""
    while _kept:
        try:
            count, value = _kept.popleft()
        except IndexError:
            # Another thread was quicker.
            return
        count(value)


class _Counting:
    """Counts what was kept before anything is read: the registry asks it first."""

    def collect(self) -> Iterable[Metric]:
        count_all()
        return []


REGISTRY.register(_Counting())
