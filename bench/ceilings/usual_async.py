"""The usual way, written by us as documents and templates show it, for peers that are not here.

A session for each request from a dependency that yields it, entities from end to end, a commit and
a refresh after an insert, SQLAlchemy's own pool of five connections and ten more. What such
templates do besides (a count for each list, a user for each request) is left out.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any
from uuid import UUID

from ceilings.statements import URL, page_of
from fastapi import APIRouter, Depends, FastAPI, HTTPException, Request
from shop.features.items.models import Item
from shop.features.items.schemas import ItemCreate, ItemRead
from shop.features.schemas import PageRead
from shop.features.tasks.models import Task
from shop.features.tasks.schemas import TaskSummary
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine

router = APIRouter()


async def get_session(request: Request) -> AsyncIterator[AsyncSession]:
    async with request.app.state.sessions() as session:
        yield session


Session = Annotated[AsyncSession, Depends(get_session)]


@router.get("/items/{item_id}", response_model=ItemRead)
async def get(session: Session, item_id: UUID) -> Any:
    item = await session.get(Item, item_id)
    if item is None:
        raise HTTPException(404, "There is no such item.")
    return item


@router.get("/items", response_model=PageRead[ItemRead])
async def list_items(session: Session, limit: int = 50) -> Any:
    items = await session.scalars(select(Item).order_by(Item.id).limit(limit + 1))
    return page_of(items.all(), limit, "id", read=getattr)


@router.post("/items", response_model=ItemRead, status_code=201)
async def add(session: Session, body: ItemCreate) -> Any:
    item = Item(**body.model_dump())
    session.add(item)
    await session.commit()
    await session.refresh(item)
    return item


@router.get("/tasks", response_model=PageRead[TaskSummary])
async def list_tasks(session: Session, limit: int = 50) -> Any:
    newest = (Task.created_at.desc(), Task.id.desc())
    active = select(Task).where(Task.active.is_(True)).order_by(*newest)
    tasks = await session.scalars(active.limit(limit + 1))
    return page_of(tasks.all(), limit, "created_at", "id", read=getattr)


def create_app() -> FastAPI:
    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        engine = create_async_engine(URL)
        app.state.sessions = async_sessionmaker(engine, expire_on_commit=False)
        yield
        await engine.dispose()

    app = FastAPI(lifespan=lifespan)
    app.include_router(router)
    return app
