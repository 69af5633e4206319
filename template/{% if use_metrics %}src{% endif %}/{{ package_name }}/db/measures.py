"""Measurements are kept for a moment: to count many at once costs a fraction of the time."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable
from itertools import count

from prometheus_client import REGISTRY, Metric

# The library reads it when it is imported, and keeps the numbers of all processes in that folder.
FOLDER = "PROMETHEUS_MULTIPROC_DIR"
# After so many units and requests what was kept is counted, if nobody asks before.
AT_ONCE = 500

Measure = Callable[[float], None]

_kept: list[tuple[Measure, deque[float]]] = []
_endings = count(1)


def kept(measure: Measure) -> Measure:
    """Return what takes the values of a series, in a tenth of the time."""
    if os.environ.get(FOLDER):
        # Other processes see only what is in the folder.
        return measure
    values = deque[float]()
    _kept.append((measure, values))
    return values.append


def ended() -> None:
    """Count what was kept, now and then; to be called at the end of what is measured."""
    if next(_endings) % AT_ONCE == 0:
        count_all()


def count_all() -> None:
    """Count what was kept."""
    for measure, values in list(_kept):
        while values:
            try:
                value = values.popleft()
            except IndexError:
                # Another thread was quicker.
                break
            measure(value)


class _Counting:
    """Counts what was kept before anything is read: the registry asks it first."""

    def collect(self) -> Iterable[Metric]:
        count_all()
        return []


REGISTRY.register(_Counting())
