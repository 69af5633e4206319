"""How things are found and stored."""

from ...db.repository import Repository
from .models import Thing


class ThingRepository(Repository[Thing]):
    """The things."""

    model = Thing
