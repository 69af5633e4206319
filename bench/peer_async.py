"""advanced-alchemy's repository of the same model; the bench installs it for itself."""

from __future__ import annotations

from typing import Any

from advanced_alchemy.filters import LimitOffset, OrderBy
from advanced_alchemy.repository import SQLAlchemyAsyncRepository
from shop.features.items.models import Item


class PeerRepository(SQLAlchemyAsyncRepository[Item]):
    model_type = Item


async def peer_list(repository: Any) -> None:
    await repository.list(LimitOffset(100, 0), OrderBy("id"))


async def peer_list_and_count(repository: Any) -> None:
    await repository.list_and_count(LimitOffset(100, 0), OrderBy("id"))
