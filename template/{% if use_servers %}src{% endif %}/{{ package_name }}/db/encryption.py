"""Whether others can read what goes to a server and comes back."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from .findings import Finding, Level

_HERE = ("localhost", "::1", "127.", "/")


def look_at_hosts(
    hosts: Sequence[str | None], *, is_encrypted: bool, hint: str
) -> Iterator[Finding]:
    """Yield which of these are reached over a network that others may listen to."""
    away = [host for host in hosts if host and not host.startswith(_HERE)]
    if away and not is_encrypted:
        text = f"nothing makes sure that connections to {', '.join(away)} are encrypted"
        yield Finding(Level.WARNING, "S003", text, hint)
