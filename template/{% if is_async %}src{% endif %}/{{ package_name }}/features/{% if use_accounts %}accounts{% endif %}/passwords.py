"""How passwords are hashed and checked: in a thread, because it takes tens of milliseconds."""

from __future__ import annotations

import asyncio

from pwdlib import PasswordHash

_hasher = PasswordHash.recommended()


async def hash_password(password: str) -> str:
    """Return a salted hash, another one each time."""
    return await asyncio.to_thread(_hasher.hash, password)


async def verify_password(password: str, hashed_password: str) -> bool:
    """Tell whether the hash was made from this password."""
    return await asyncio.to_thread(_hasher.verify, password, hashed_password)
