"""Litestar and advanced-alchemy, written by us as their documents show it, as a peer.

The plugin's session and commit, a service over a repository, answers by `to_schema`. Its lists are
not counted, which the documents do and ours does not.
"""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from advanced_alchemy.extensions.litestar import (
    AsyncSessionConfig,
    SQLAlchemyAsyncConfig,
    SQLAlchemyPlugin,
)
from advanced_alchemy.extensions.litestar.providers import create_service_dependencies
from advanced_alchemy.filters import LimitOffset, OrderBy
from advanced_alchemy.repository import SQLAlchemyAsyncRepository
from advanced_alchemy.service import SQLAlchemyAsyncRepositoryService
from ceilings.statements import URL, page_of
from litestar import Controller, Litestar, get, post
from litestar.params import Parameter
from shop.features.items.models import Item
from shop.features.items.schemas import ItemCreate, ItemRead
from shop.features.schemas import PageRead


class ItemService(SQLAlchemyAsyncRepositoryService[Item]):
    class Repository(SQLAlchemyAsyncRepository[Item]):
        model_type = Item

    repository_type = Repository


class Items(Controller):
    path = "/items"
    dependencies = create_service_dependencies(ItemService, "service")

    @get()
    async def list_items(
        self, service: ItemService, limit: Annotated[int, Parameter(ge=1)] = 50
    ) -> PageRead[ItemRead]:
        found = await service.list(LimitOffset(limit + 1, 0), OrderBy("id"))
        items = [service.to_schema(item, schema_type=ItemRead) for item in found]
        return PageRead[ItemRead](**page_of(items, limit, "id", read=getattr))

    @get("/{item_id:uuid}")
    async def read_item(self, service: ItemService, item_id: UUID) -> ItemRead:
        return service.to_schema(await service.get(item_id), schema_type=ItemRead)

    @post()
    async def create_item(self, service: ItemService, data: ItemCreate) -> ItemRead:
        return service.to_schema(await service.create(data), schema_type=ItemRead)


def create_app() -> Litestar:
    config = SQLAlchemyAsyncConfig(
        connection_string=URL,
        before_send_handler="autocommit",
        session_config=AsyncSessionConfig(expire_on_commit=False),
    )
    return Litestar(route_handlers=[Items], plugins=[SQLAlchemyPlugin(config=config)])
