"""Several servers in one URL: how they are named, and in which order they are tried."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from typing import Any

from sqlalchemy import URL

from .url import read_url as read_any_url

Place = Mapping[str, Any]

# Under this name a connection's info holds the Hosts that it comes from, and the place.
REACHED = "reached"

TARGETS = {"any", "primary", "standby", "prefer-standby", "read-only", "read-write"}

# Between the scheme and the path: what make_url takes for one host with a strange port.
_AUTHORITY = re.compile(r"(postgres[^:/]*://)((?:[^/?]*@)?)([^/?@]*,[^/?@]*)((?:[/?].*)?)")
_COCKROACH = "sqlalchemy_cockroachdb"
_HOST = re.compile(r"([\w.-]+)(?::([0-9]{1,5}))?", re.ASCII)


def read_url(text: str) -> URL:
    """Return the URL, in which several servers stand as host=name:port, each by itself.

    They may come so, as host=one,two&port=1,2 or as PostgreSQL's own //one:1,two:2/. Without a
    target, the one that takes writes is wanted. Raises a ValueError that does not repeat the URL.
    """
    authority = _AUTHORITY.fullmatch(text)
    url = read_any_url("".join(authority.group(1, 2, 4)) if authority else text)
    if url.drivername.startswith("cockroachdb") and find_spec(_COCKROACH) is None:
        raise ValueError("names CockroachDB: its dialect is missing, add sqlalchemy-cockroachdb")
    if not url.drivername.startswith("postgres"):
        return url
    named = [authority[3]] if authority else []
    hosts = ",".join([*named, *url.normalized_query.get("host", ())]).split(",")
    target = url.normalized_query.get("target_session_attrs", ("read-write",))[-1]
    if target not in TARGETS:
        raise ValueError(f"has a target_session_attrs that is none of {', '.join(sorted(TARGETS))}")
    if len(hosts) < 2:
        return url
    ports = ",".join(url.normalized_query.get("port", ("5432",))).split(",")
    if len(ports) not in (1, len(hosts)):
        raise ValueError("names more hosts than ports, or fewer")
    places = zip(hosts, ports * len(hosts) if len(ports) == 1 else ports, strict=True)
    url = url.difference_update_query(["host", "port"]).set(host=None, port=None)
    query = {"host": [_with_port(*place) for place in places], "target_session_attrs": target}
    return url.update_query_dict(query)


def _with_port(host: str, port: str) -> str:
    parts = _HOST.fullmatch(host)
    if parts is None or not port.isdecimal():
        raise ValueError("names several servers, and one of them not as host or host:port")
    return f"{parts[1]}:{parts[2] or port}"


def arguments_of(url: URL | None, driver: str) -> dict[str, Any]:
    """Return what the driver's `connect` is given for a URL, if there is one."""
    if url is None:
        return {}
    url = url.set(drivername=f"postgresql+{driver}")
    return dict(url.get_dialect()().create_connect_args(url)[1])


class Hosts:
    """The servers that a URL names: the one that was reached last is tried first."""

    def __init__(self, url: URL) -> None:
        named = url.normalized_query.get("host", ())
        self._target = url.normalized_query.get("target_session_attrs", ("any",))[-1]
        self._places: list[Place] = [{}]
        if len(named) > 1:
            parts = [name.rpartition(":") for name in named]
            self._places = [{"host": host, "port": int(port)} for host, _, port in parts]

    def places(self) -> Iterator[Place]:
        """Yield what to try, each as arguments of `connect` and with the whole timeout.

        A server that accepts connections and never answers takes nothing from the others.
        """
        places = list(self._places)
        if self._target != "prefer-standby" or places == [{}]:
            yield from places
            return
        for target in ("standby", "any"):
            yield from ({**place, "target_session_attrs": target} for place in places)

    def prefer(self, place: Place) -> None:
        """Try this one first from now on."""
        self._move(place, 0)

    def avoid(self, place: Place) -> None:
        """Try this one last, because a connection to it was lost."""
        self._move(place, len(self._places))

    def _move(self, place: Place, index: int) -> None:
        kept = [known for known in self._places if not known.items() <= place.items()]
        if len(kept) < len(self._places):
            moved = {name: place[name] for name in place if name in ("host", "port")}
            kept.insert(index, moved)
            self._places = kept


def most_telling(errors: list[Exception]) -> Exception:
    """Return of the errors of several servers one that says more than that it is not there."""
    telling = [error for error in errors if getattr(error, "sqlstate", None)]
    return [*telling, *errors][0]
