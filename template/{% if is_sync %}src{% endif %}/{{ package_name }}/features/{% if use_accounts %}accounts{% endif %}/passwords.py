"""How passwords are hashed and checked; it takes tens of milliseconds."""

from __future__ import annotations

from pwdlib import PasswordHash

_hasher = PasswordHash.recommended()


def hash_password(password: str) -> str:
    """Return a salted hash, another one each time."""
    return _hasher.hash(password)


def verify_password(password: str, hashed_password: str) -> bool:
    """Tell whether the hash was made from this password."""
    return _hasher.verify(password, hashed_password)
