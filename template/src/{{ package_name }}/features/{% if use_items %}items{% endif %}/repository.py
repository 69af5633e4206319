"""How items are found and stored."""

from ...db.repository import Repository
from .models import Item


class ItemRepository(Repository[Item]):
    """The items."""

    model = Item
