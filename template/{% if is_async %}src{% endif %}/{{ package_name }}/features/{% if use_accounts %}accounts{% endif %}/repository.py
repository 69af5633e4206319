"""How users and files are found and stored."""

from ...db.repository import Repository
from .emails import normalise_email
from .models import File, User


class UserRepository(Repository[User]):
    """The users; rows for reading hold no password."""

    model = User
    read_columns = (
        User.id,
        User.email,
        User.full_name,
        User.role,
        User.is_active,
        User.created_at,
        User.updated_at,
    )

    async def get_by_email(self, email: str) -> User | None:
        """Return the user with this address, in whatever case; raises InvalidEmailError."""
        return await self.first(User.email == normalise_email(email))


class FileRepository(Repository[File]):
    """The files."""

    model = File
