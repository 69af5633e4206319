"""Users and files to develop with."""

from __future__ import annotations

from secrets import token_urlsafe

from ...db.seeding import seed_id
from ..unit_of_work import UnitOfWork
from .models import File, Role, User
from .passwords import hash_password


def seed_accounts(uow: UnitOfWork, rows: int) -> None:
    """Store users with a file each, with fixed ids, so that a second run finds them."""
    numbers = range(1, rows + 1)
    # Nobody knows the password: set one to log in. Who is there already keeps theirs.
    hashed_password = hash_password(token_urlsafe())
    known = {user.id for user in uow.users.get_many(map(seed_id, numbers))}
    uow.users.upsert(
        (
            {
                "id": seed_id(number),
                "email": f"user{number}@example.com",
                "hashed_password": hashed_password,
                "full_name": f"User {number}",
                "role": Role.ADMIN if number == 1 else Role.VIEWER,
            }
            for number in numbers
            if seed_id(number) not in known
        ),
        key=[User.id],
    )
    uow.files.upsert(
        (
            {
                "id": seed_id(number),
                "filename": f"file{number}.txt",
                "content_type": "text/plain",
                "size": number,
                "user_id": seed_id(number),
            }
            for number in numbers
        ),
        key=[File.id],
    )
