"""Where the connections of a replica lead: to the primary, while the replica cannot be reached."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Mapping
from typing import Any

from sqlalchemy import Engine, event
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.pool import ConnectionPoolEntry

from .postgres_hosts import REACHED, Hosts, Place
from .settings import DatabaseSettings

logger = logging.getLogger(__name__)

# After so many seconds a replica that could not be reached is tried again.
AGAIN = 10.0
# The replica itself, as its URL has it.
HERE: Place = {}


class ReplicaHosts(Hosts):
    """A replica, whether it could be reached the last time, and the primary to stand in for it."""

    def __init__(
        self, settings: DatabaseSettings, primary: DatabaseSettings, arguments: Mapping[str, Any]
    ) -> None:
        """Take the arguments of `connect` for the primary, too: it may have other users."""
        super().__init__(primary.url)
        self._address = settings.address
        self._arguments = arguments
        self._is_down = False
        self._again_at = 0.0

    @property
    def is_worth_a_try(self) -> bool:
        """Whether the replica is up as far as anybody knows, or has been down for long enough."""
        return not self._is_down or time.monotonic() >= self._again_at

    def places(self) -> Iterator[Place]:
        """Yield the replica and, once that has failed, the servers of the primary."""
        if self.is_worth_a_try:
            # While it is down, one at a time waits for it.
            self._again_at = time.monotonic() + AGAIN
            yield HERE
            self._note(is_down=True)
        yield from ({**self._arguments, **place} for place in super().places())

    def prefer(self, place: Place) -> None:
        """Note that this one could be reached."""
        if place == HERE:
            self._note(is_down=False)
        else:
            super().prefer(place)

    def avoid(self, place: Place) -> None:
        """Try this one last; the replica is tried first all the same."""
        if place != HERE:
            super().avoid(place)

    def _note(self, *, is_down: bool) -> None:
        if self._is_down is not is_down:
            state = "cannot be reached: others are read" if is_down else "can be reached again"
            logger.warning("the replica %s %s", self._address, state)
        self._is_down = is_down
        # From now, because the attempt may have lasted longer than that.
        self._again_at = time.monotonic() + AGAIN


def is_primary(info: Mapping[Any, Any]) -> bool:
    """Tell whether a connection of a replica, of which this is the info, leads to the primary."""
    _, place = info[REACHED]
    return bool(place != HERE)


def return_to_replica(engine: Engine, hosts: ReplicaHosts) -> None:
    """Give up connections to the primary once the replica may be back."""

    @event.listens_for(engine, "checkout")
    def check(connection: Any, record: ConnectionPoolEntry, proxy: Any) -> None:
        if is_primary(record.info) and hosts.is_worth_a_try:
            raise DisconnectionError("the replica may be back")
