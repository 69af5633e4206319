"""The sync twins: how each rule rewrites, what is refused, and that ours are fresh."""

from __future__ import annotations

import asyncio
import importlib
import importlib.util
import shutil
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
ASYNC, SYNC = "{% if is_async %}src{% endif %}", "{% if is_sync %}src{% endif %}"
RENAMES = {
    "AbstractAsyncContextManager": "AbstractContextManager",
    "AsyncClient": "Client",
    "AsyncConnection": "Connection",
    "AsyncEngine": "Engine",
    "AsyncExitStack": "ExitStack",
    "AsyncIterable": "Iterable",
    "AsyncIterator": "Iterator",
    "AsyncResult": "Result",
    "AsyncRetrying": "Retrying",
    "AsyncScalarResult": "ScalarResult",
    "AsyncSession": "Session",
    "AsyncSessionTransaction": "SessionTransaction",
    "AsyncTransaction": "Transaction",
    "StopAsyncIteration": "StopIteration",
    "__aenter__": "__enter__",
    "__aexit__": "__exit__",
    "__aiter__": "__iter__",
    "__anext__": "__next__",
    "aclose": "close",
    "aclosing": "closing",
    "aiter": "iter",
    "anext": "next",
    "async_sessionmaker": "sessionmaker",
    "asynccontextmanager": "contextmanager",
    "create_async_engine": "create_engine",
    "enter_async_context": "enter_context",
    "pytest_asyncio": "pytest",
    "stream_scalars": "scalars",
}


def load_generator() -> ModuleType:
    path = ROOT / "hooks" / "generate_sync.py"
    spec = importlib.util.spec_from_file_location("generate_sync", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


generator = load_generator()


class Template:
    """A template folder with overlays, and the generator run on it."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder = folder
        self.capsys = capsys

    def write(self, text: str, file: str = "module.py", overlay: str = ASYNC) -> Path:
        path = self.folder / overlay / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode())
        return path

    def run(self, *options: str) -> tuple[int, str, str]:
        """Return the exit code, and what was printed without the folder's own path."""
        code: int = generator.main(["--template", str(self.folder), *options])
        out, err = self.capsys.readouterr()
        prefix = f"{self.folder}/"
        return code, out.replace(prefix, ""), err.replace(prefix, "")

    def twin_of(self, text: str, file: str = "module.py") -> str:
        self.write(text, file)
        code, _, err = self.run()
        assert (code, err) == (0, "")
        twin = (self.folder / SYNC / file).read_bytes().decode()
        compile(twin.replace("{{ package_name }}", "shop"), file, "exec")
        return twin

    def refusal_of(self, text: str, file: str = "module.py") -> str:
        """Return the one line that says why there is no twin, and see that nothing was written."""
        self.write(text, file)
        code, out, err = self.run()
        assert (code, out) == (2, "")
        assert not (self.folder / SYNC).exists()
        assert self.run("--check") == (2, "", err)
        return err.removeprefix(f"{ASYNC}/").removesuffix("\n")

    def files(self) -> dict[Path, tuple[bytes, int]]:
        return {
            path: (path.read_bytes(), path.stat().st_mtime_ns)
            for path in self.folder.rglob("*")
            if path.is_file()
        }


@pytest.fixture
def template(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Template:
    monkeypatch.setattr(generator, "HAND_WRITTEN", set())
    folder = tmp_path / "template"
    folder.mkdir()
    return Template(folder, capsys)


# Rewriting code


@pytest.mark.parametrize(
    ("source", "twin"),
    [
        ("async def f():\n    pass\n", "def f():\n    pass\n"),
        ("async def f(x):\n    await x.g()\n", "def f(x):\n    x.g()\n"),
        (
            "async def f(x):\n    async with x as y:\n        y()\n",
            "def f(x):\n    with x as y:\n        y()\n",
        ),
        (
            "async def f(x):\n    async for y in x:\n        y()\n",
            "def f(x):\n    for y in x:\n        y()\n",
        ),
        (
            "async def f(x):\n    return [y.z async for y in x]\n",
            "def f(x):\n    return [y.z for y in x]\n",
        ),
        (
            "async def f(x):\n    return {await y.z() for y in await x.all()}\n",
            "def f(x):\n    return {y.z() for y in x.all()}\n",
        ),
    ],
)
def test_the_keywords_go(template: Template, source: str, twin: str) -> None:
    assert template.twin_of(source) == twin


def test_the_table_of_names_is_this_one() -> None:
    assert generator.RENAMES == RENAMES


@pytest.mark.parametrize(("name", "new"), RENAMES.items())
def test_names_are_renamed_as_whole_words(template: Template, name: str, new: str) -> None:
    source = f"class X:\n    def {name}(self):\n        return {name}, self.{name}.x\n"
    assert template.twin_of(source) == source.replace(name, new)


def test_a_longer_word_is_not_renamed(template: Template) -> None:
    source = "value = [aclosed, my_anext, aiters]\n"
    assert template.twin_of(source) == source


@pytest.mark.parametrize(
    ("name", "home"),
    [
        ("AsyncConnection", "sqlalchemy"),
        ("AsyncEngine", "sqlalchemy"),
        ("AsyncResult", "sqlalchemy"),
        ("AsyncScalarResult", "sqlalchemy"),
        ("AsyncSession", "sqlalchemy.orm"),
        ("AsyncSessionTransaction", "sqlalchemy.orm"),
        ("AsyncTransaction", "sqlalchemy"),
        ("async_sessionmaker", "sqlalchemy.orm"),
        ("create_async_engine", "sqlalchemy"),
    ],
)
def test_sqlalchemy_names_are_imported_from_home(template: Template, name: str, home: str) -> None:
    source = f"from sqlalchemy.ext.asyncio import {name}\n\nvalue = {name}\n"
    twin = template.twin_of(source)
    new = RENAMES[name]
    assert twin == f"from {home} import {new}\n\nvalue = {new}\n"
    exec(twin, {})


def test_one_import_is_split_by_home_and_merged_with_what_is_there(template: Template) -> None:
    source = """\
from sqlalchemy import select
from sqlalchemy.ext.asyncio import (
    AsyncEngine,
    AsyncSession,
    async_sessionmaker,
)
from sqlalchemy.orm import Mapped

names = AsyncEngine, AsyncSession, async_sessionmaker, select, Mapped
"""
    assert (
        template.twin_of(source)
        == """\
from sqlalchemy import Engine, select
from sqlalchemy.orm import Mapped, Session, sessionmaker

names = Engine, Session, sessionmaker, select, Mapped
"""
    )


def test_an_indented_import_is_split_too(template: Template) -> None:
    source = """\
def f():
    from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

    return AsyncEngine, AsyncSession
"""
    assert (
        template.twin_of(source)
        == """\
def f():
    from sqlalchemy import Engine
    from sqlalchemy.orm import Session

    return Engine, Session
"""
    )


def test_an_alias_stays_so_that_our_own_function_is_not_shadowed(template: Template) -> None:
    source = """\
from sqlalchemy.ext.asyncio import create_async_engine as new_engine


def create_engine(url):
    return new_engine(url)
"""
    twin = template.twin_of(source)
    assert twin.startswith("from sqlalchemy import create_engine as new_engine\n")
    names: dict[str, Any] = {}
    exec(twin, names)
    assert names["create_engine"]("sqlite://").dialect.name == "sqlite"


def test_an_alias_that_is_the_new_name_goes(template: Template) -> None:
    source = "from sqlalchemy.ext.asyncio import AsyncSession as Session\n\nvalue = Session\n"
    assert template.twin_of(source) == "from sqlalchemy.orm import Session\n\nvalue = Session\n"


def test_a_comment_on_an_import_stays(template: Template) -> None:
    source = "from sqlalchemy.ext.asyncio import AsyncSession  # noqa: F401\n"
    assert template.twin_of(source) == "from sqlalchemy.orm import Session  # noqa: F401\n"
    source = """\
from sqlalchemy.ext.asyncio import (  # ours
    AsyncEngine,  # theirs
    AsyncTransaction,
)

value = AsyncEngine, AsyncTransaction
"""
    first = template.twin_of(source).splitlines()[0]
    assert first == "from sqlalchemy import Engine, Transaction  # ours  # theirs"


def test_a_name_imported_twice_by_now_is_imported_once(template: Template) -> None:
    source = """\
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

names = AsyncIterator, Iterator, asynccontextmanager, contextmanager
"""
    assert (
        template.twin_of(source)
        == """\
from collections.abc import Iterator
from contextlib import contextmanager

names = Iterator, Iterator, contextmanager, contextmanager
"""
    )


def test_pytest_asyncio_becomes_pytest(template: Template) -> None:
    source = """\
import pytest
import pytest_asyncio


@pytest_asyncio.fixture
async def session():
    yield pytest.approx
"""
    assert (
        template.twin_of(source)
        == """\
import pytest


@pytest.fixture
def session():
    yield pytest.approx
"""
    )


@pytest.mark.parametrize(
    ("source", "twin"),
    [
        ("r = session.stream(x)\n", "r = session.execute(x)\n"),
        ("r = self.read_session.stream(x)\n", "r = self.read_session.execute(x)\n"),
        ("r = tasks.stream(x)\n", "r = tasks.stream(x)\n"),
        ("r = session.stream\n", "r = session.stream\n"),
        ("r = session.streams(x)\n", "r = session.streams(x)\n"),
    ],
)
def test_only_a_session_executes_instead_of_streaming(
    template: Template, source: str, twin: str
) -> None:
    assert template.twin_of(source) == twin


def test_results_that_were_awaited_are_plain(template: Template) -> None:
    source = """\
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

Text = Callable[[int], Awaitable[dict[str, list[tuple[int, ...]]]]]
Nested = Awaitable[Callable[[], Awaitable[None]]]
Task = Coroutine[Any, Any, dict[str, int]]
Long = list[
    Awaitable[
        Callable[
            [int, dict[str, int]], bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb
        ]
    ]
]
"""
    assert (
        template.twin_of(source)
        == """\
from collections.abc import Callable

Text = Callable[[int], dict[str, list[tuple[int, ...]]]]
Nested = Callable[[], None]
Task = dict[str, int]
Long = list[
    Callable[[int, dict[str, int]], bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb]
]
"""
    )


def test_a_block_whose_only_import_goes_stays_valid(template: Template) -> None:
    source = """\
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Awaitable


def f(x: "int", y: Awaitable[int]):
    return x
"""
    assert (
        template.twin_of(source)
        == """\
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    pass


def f(x: "int", y: int):
    return x
"""
    )
    source = source.replace("Awaitable\n", "Awaitable\n    from decimal import Decimal\n")
    source = source.replace("x: ", "z: Decimal, x: ")
    assert "    from decimal import Decimal\n\n" in template.twin_of(source)
    assert "pass" not in template.twin_of(source)


@pytest.mark.parametrize(
    ("source", "twin"),
    [
        ("prepare(engine.sync_engine)\n", "prepare(engine)\n"),
        ("prepare(self.session.sync_session.bind)\n", "prepare(self.session.bind)\n"),
        (
            "async def f(c):\n    await c.run_sync(create_all)\n",
            "def f(c):\n    create_all(c)\n",
        ),
        (
            "async def f(self):\n    return await self.session.run_sync(Base.make, 1, x=(2, 3))\n",
            "def f(self):\n    return Base.make(self.session, 1, x=(2, 3))\n",
        ),
        (
            "async def f(c):\n    await c.run_sync(\n        make,\n        1,\n    )\n",
            "def f(c):\n    make(\n        c,\n        1,\n    )\n",
        ),
    ],
)
def test_the_way_to_the_sync_object_goes(template: Template, source: str, twin: str) -> None:
    assert template.twin_of(source) == twin


@pytest.mark.parametrize(
    ("source", "twin"),
    [
        ("(await x.f(1)).all()", "x.f(1).all()"),
        ("(await x.f([{1: g(h[i(2)])}])).y", "x.f([{1: g(h[i(2)])}]).y"),
        ("not (await x.f([1], {2: 3})).y", "not x.f([1], {2: 3}).y"),
        ('(await x.f(")")).y', 'x.f(")").y'),
        ("(await (await x.f()).g()).h()", "x.f().g().h()"),
        ("(await x.f((await y.g()).z))[0]", "x.f(y.g().z)[0]"),
        ("g(await x.f())", "g(x.f())"),
        ("g()(await x.f())", "g()(x.f())"),
        ("a[0](await x.f())", "a[0](x.f())"),
        ("(await x.f() or y).z", "(x.f() or y).z"),
        ("(await x.f(), y)", "(x.f(), y)"),
        ("(y + await x.f()).z", "(y + x.f()).z"),
    ],
)
def test_brackets_go_if_only_the_await_needed_them(
    template: Template, source: str, twin: str
) -> None:
    source = f"async def f(x, y):\n    return {source}\n"
    assert template.twin_of(source) == f"def f(x, y):\n    return {twin}\n"


def test_brackets_over_several_lines_go_too(template: Template) -> None:
    source = f"""\
async def f(session):
    return (
        await session.execute({"a" * 32}, {"b" * 32})
    ).all()
"""
    assert (
        template.twin_of(source)
        == f"""\
def f(session):
    return session.execute({"a" * 32}, {"b" * 32}).all()
"""
    )


# Rewriting strings and comments


@pytest.mark.parametrize(
    ("source", "twin"),
    [
        ("Open an AsyncSession.", "Open a Session."),
        ("Open an AsyncEngine.", "Open an Engine."),
        ("Open an `AsyncSession`.", "Open a `Session`."),
        ("Made by create_async_engine, not by async_sessionmaker.", None),
        ("Use `async with`, async for.", "Use `with`, for."),
        ("An async session.", "A session."),
        ("an async engine, an async unit, an async update", "an engine, a unit, an update"),
        ("an asynchronous session", "a session"),
        ("Async sessions.", "Sessions."),
        ("Asynchronous `session`.", "`session`."),
        ("Call await session.commit() last.", "Call session.commit() last."),
        ("Or await rows[0].", "Or rows[0]."),
        ("Call __aenter__ and aclose.", "Call __enter__ and close."),
        ("Like session.stream(x).", "Like session.execute(x)."),
        ("An apple and an unasked word.", "An apple and an unasked word."),
    ],
)
def test_prose_follows(template: Template, source: str, twin: str | None) -> None:
    twin = twin or "Made by create_engine, not by sessionmaker."
    text = '"""{0}"""\n\n# {0}\nx = "{0}"\ny = r\'{0} "\'\nz = f"{{1}} {0}"\n'
    assert template.twin_of(text.format(source)) == text.format(twin)


def test_code_inside_an_fstring_is_rewritten(template: Template) -> None:
    source = "async def f(x):\n    return f\"é {await x.f('é')} {{}} {x.aclose():>{x.width}} é\"\n"
    assert template.twin_of(source) == (
        "def f(x):\n    return f\"é {x.f('é')} {{}} {x.close():>{x.width}} é\"\n"
    )


def test_strings_and_comments_hide_code(template: Template) -> None:
    source = '''\
"""Called "an async session", after a # sign an async session, \\""" an async session."""

x = "it's (", 'a "# [', ""  # ) "not a string, but an async session
y = """
(  # \'\'\'
"""
z = "\\\\", "'(\\" an async session", r"\\d an async session"
aiter(x)
'''
    twin = source.replace("an async", "a").replace("aiter", "iter")
    assert template.twin_of(source) == twin


# What ruff does


def test_lines_that_fit_now_are_joined(template: Template) -> None:
    source = f"""\
async def f(x):
    return await x.{"a" * 40}(
        {"b" * 20}, {"c" * 23}
    )
"""
    assert len(f"    return await x.{'a' * 40}({'b' * 20}, {'c' * 23})") > 100
    assert template.twin_of(source) == (
        f"def f(x):\n    return x.{'a' * 40}({'b' * 20}, {'c' * 23})\n"
    )


@pytest.mark.parametrize(
    ("source", "twin"),
    [
        ("    async for y in x:\n        yield y\n", "    yield from x\n"),
        ("    return [y async for y in x]\n", "    return list(x)\n"),
        (
            "    async for y in x:\n        if y:\n            return True\n    return False\n",
            "    return any(y for y in x)\n",
        ),
    ],
)
def test_what_only_sync_code_can_say_shorter_is_said_so(
    template: Template, source: str, twin: str
) -> None:
    assert template.twin_of(f"async def f(x):\n{source}") == f"def f(x):\n{twin}"


@pytest.mark.parametrize(
    "source",
    ["x = [1,2]\n", "from b import c\nfrom a import d\n\nx = c, d\n", f"x = [\n    {'a' * 88}]\n"],
)
def test_a_source_that_is_not_formatted_is_refused(template: Template, source: str) -> None:
    assert template.refusal_of(source).startswith("module.py:1: not as ruff leaves it")


def test_no_other_ruff_settings_count(
    template: Template, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for folder in (tmp_path, template.folder):
        (folder / "ruff.toml").write_text("line-length = 30\nexclude = ['*.py']\n")
    (tmp_path / ".git").mkdir()
    (tmp_path / ".gitignore").write_text("*\n")
    scratch = tmp_path / "build"
    scratch.mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("tempfile.tempdir", str(scratch))
    source = f"async def f(x):\n    async for y in x.{'a' * 40}:\n        yield y\n"
    assert template.twin_of(source) == f"def f(x):\n    yield from x.{'a' * 40}\n"


# Refusals


@pytest.mark.parametrize(
    ("source", "place"),
    [
        ("import asyncio\n\nasyncio.run()\n", "1: `asyncio`"),
        ("\nx = asyncio.Lock()\n", "2: `asyncio`"),
        ('url = "sqlite+aiosqlite://"\n', "1: `aiosqlite`"),
        ("x = 1  # Callers await the result.\n", "1: `await`"),
        ("x = 1  # for sync and async callers\n", "1: `async`"),
        ("x = 1  # for async and sync callers\n", "1: `async`"),
        ("x = 1  # runs asynchronously\n", "1: `asynchronously`"),
        ('x = """\n\nan awaitable."""\n', "3: `awaitable`"),
        ("x = AsyncAttrs\n", "1: `AsyncAttrs`"),
        ("x = async_scoped_session()\n", "1: `async_scoped_session`"),
        ("x = my_async_thing\n", "1: `my_async_thing`"),
        ("x = 1  # noqa: ASYNC100\n", "1: `ASYNC100`"),
        ("x = 1  # blocks the event loop\n", "1: `event loop`"),
        ("x = 1  # a coroutine\n", "1: `coroutine`"),
        ("x = 1  # MissingGreenlet\n", "1: `MissingGreenlet`"),
        ("x = pytest.mark.anyio\n", "1: `anyio`"),
        ('x = fixture(loop_scope="session")\n', "1: `loop_scope`"),
        ("x = ASGITransport()\n", "1: `ASGITransport`"),
        ("x = typing.Awaitable[int]\n", "1: `Awaitable`"),
        ("x = Coroutine\n", "1: `Coroutine`"),
        ("async def f(c):\n    await c.run_sync(lambda d: d.f())\n", "2: `run_sync`"),
        ("x = sync_engine\n", "1: `sync_engine`"),
        ("x = sync_session\n", "1: `sync_session`"),
        ("from sqlalchemy.ext.asyncio import AsyncAttrs\n\nx = 1\n", "1: `AsyncAttrs`"),
        ("from sqlalchemy.ext.asyncio import *\n", "1: `asyncio`"),
    ],
)
def test_a_leftover_is_named_with_its_line(template: Template, source: str, place: str) -> None:
    refusal = template.refusal_of(source)
    assert refusal.startswith(f"module.py:{place} has no sync form: ")


def test_every_leftover_gets_a_line(template: Template) -> None:
    template.write("x = asyncio\n\ny = aiofiles\n")
    template.write("x = anyio\n", "other.py")
    lines = template.run()[2].splitlines()
    assert [line.split(" has ")[0].removeprefix(f"{ASYNC}/") for line in lines] == [
        "module.py:1: `asyncio`",
        "module.py:3: `aiofiles`",
        "other.py:1: `anyio`",
    ]


def test_an_async_generator_is_asked_to_be_an_iterator(template: Template) -> None:
    source = "from collections.abc import AsyncGenerator\n\nx = AsyncGenerator[int, None]\n"
    assert "module.py:3: `AsyncGenerator` has no sync form: use AsyncIterator" in (
        template.refusal_of(source)
    )


def test_lines_are_those_of_the_source_whatever_was_split_before(template: Template) -> None:
    source = "from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession\nx = asyncio\n"
    assert template.refusal_of(source).startswith("module.py:2: `asyncio`")


def test_lines_are_those_of_the_source_whatever_was_joined_before(template: Template) -> None:
    source = """\
from collections.abc import (
    Awaitable,
)

from sqlalchemy.ext.asyncio import (
    AsyncEngine,
    AsyncSession,
)


async def f(c: AsyncEngine, s: AsyncSession, a: Awaitable[
    int
]):
    (
        await s.execute()
    ).all()
    await c.run_sync(
        make
    )


x = asyncio
"""
    line = source.splitlines().index("x = asyncio") + 1
    assert template.refusal_of(source).startswith(f"module.py:{line}: `asyncio`")


@pytest.mark.parametrize(
    ("source", "line"),
    [
        (
            "from sqlalchemy.ext.asyncio import create_async_engine\n\n\n"
            "def create_engine(url):\n    return create_async_engine(url)\n",
            4,
        ),
        (
            "from sqlalchemy.ext.asyncio import AsyncSession\n\n"
            "from .sessions import Session\n\nx = AsyncSession, Session\n",
            3,
        ),
        ("class A:\n    def close(self): ...\n\n    async def aclose(self): ...\n", 2),
        ("async def f(next, x):\n    return await anext(x)\n", 1),
        ("class Client: ...\n\n\nx = AsyncClient\n", 1),
        ("async def f(x):\n    iter = aiter(x)\n    return iter\n", 2),
    ],
)
def test_a_new_name_that_is_taken_is_refused(template: Template, source: str, line: int) -> None:
    refusal = template.refusal_of(source)
    assert refusal.startswith(f"module.py:{line}: ")
    assert "a name in use" in refusal


def test_the_same_name_from_its_library_is_not_a_collision(template: Template) -> None:
    source = """\
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session


async def close(session: AsyncSession, other: Session):
    scalars = await session.stream_scalars()
    await session.aclose()
    return scalars, other
"""
    assert template.twin_of(source).startswith("from sqlalchemy.orm import Session\n\n\n")


def test_a_syntax_error_is_named(template: Template) -> None:
    refusal = template.refusal_of("x = 1\ndef f(:\n    pass\n")
    assert refusal.startswith("module.py:2: it or its sync form does not parse: ")


def test_a_twin_that_would_not_parse_is_named(template: Template) -> None:
    # The brackets that held the lines together go.
    refusal = template.refusal_of("x: Awaitable[\n    int\n    | str\n]\n")
    assert "it or its sync form does not parse: " in refusal


@pytest.mark.parametrize(
    ("file", "content"),
    [("notes.md", b"text\n"), ("async_tools.py", b"x = 1\n"), ("module.py", b"x = '\xff'\n")],
)
def test_a_file_that_cannot_have_a_twin_is_refused(
    template: Template, file: str, content: bytes
) -> None:
    template.write("", file).write_bytes(content)
    code, out, err = template.run()
    assert (code, out) == (2, "")
    assert len(err.splitlines()) == 1


def test_a_template_that_is_not_there_is_refused(template: Template) -> None:
    template.folder.rmdir()
    code, out, err = template.run("--check")
    assert (code, out) == (2, "")
    assert len(err.splitlines()) == 1


# The package name


def test_the_package_name_is_the_only_jinja(template: Template) -> None:
    source = """\
import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from {{ package_name }}.db import engine

value = "{{ package_name }}.db", AsyncSession, engine, pytest
"""
    assert (
        template.twin_of(source, "module.py.jinja")
        == """\
import pytest
from sqlalchemy.orm import Session

from {{ package_name }}.db import engine

value = "{{ package_name }}.db", Session, engine, pytest
"""
    )


@pytest.mark.parametrize("jinja", ["{% if x %}", "{{ driver }}", "{{package_name}}", "{# note #}"])
def test_other_jinja_is_refused_with_its_line(template: Template, jinja: str) -> None:
    source = f'x = "{{{{ package_name }}}}"\ny = "{jinja}"\n'
    refusal = template.refusal_of(source, "module.py.jinja")
    assert refusal == "module.py.jinja:2: the only Jinja allowed here is {{ package_name }}"


def test_braces_in_plain_python_are_not_jinja(template: Template) -> None:
    source = 'x = f"{{{y}}} {{ driver }}"\n'
    assert template.twin_of(source) == source


def test_a_package_name_counts_as_thirty_letters(template: Template) -> None:
    # 88 columns with the tag, 100 with thirty letters in its place.
    fits = f"from {{{{ package_name }}}}.db import {'a' * 54}\n\nx = {'a' * 54}\n"
    wraps = fits.replace("a" * 54, "a" * 55)
    assert len(generator.PLACEHOLDER) == 30
    assert len(fits.splitlines()[0]) == 88
    assert template.twin_of(fits, "module.py.jinja") == fits
    template.write(wraps, "module.py.jinja")
    assert "not as ruff leaves it" in template.run()[2]


def test_tests_are_imported_after_everything_else(template: Template) -> None:
    source = (
        "import pytest\n\nfrom {{ package_name }} import zoo\n\nfrom tests import x\n\n"
        "y = pytest, zoo, x\n"
    )
    assert template.twin_of(source, "module.py.jinja") == source


# Files and folders


def test_every_async_overlay_has_a_sync_one(template: Template) -> None:
    path = "{{ package_name }}/features/{% if use_items %}items{% endif %}/service.py"
    for name in ("{% if is_async %}src{% endif %}", "{% if fastapi_async %}src{% endif %}"):
        template.write("async def f(): ...\n", path, name)
    template.write("async def f(): ...\n", "conftest.py", "{% if async_web %}tests{% endif %}")
    for name in ("src", "{% if use_flask %}src{% endif %}"):
        template.write("async def f(): ...\n", "module.py", name)
    assert template.run() == (
        0,
        "written: {% if sync_web %}tests{% endif %}/conftest.py\n"
        f"written: {{% if fastapi_sync %}}src{{% endif %}}/{path}\n"
        f"written: {{% if is_sync %}}src{{% endif %}}/{path}\n",
        "",
    )


def test_caches_are_no_sources(template: Template) -> None:
    template.write("x = 1\n")
    template.write("x", "__pycache__/module.pyc")
    assert template.run() == (0, f"written: {SYNC}/module.py\n", "")


def test_a_template_without_overlays_is_fresh(template: Template) -> None:
    template.write("async def f(): ...\n", "module.py", "src")
    assert template.run() == (0, "", "")
    assert template.run("--check") == (0, "", "")


def test_only_what_changed_is_written(template: Template) -> None:
    template.write("async def f(): ...\n")
    template.write("async def g(): ...\n", "other.py")
    assert template.run() == (0, f"written: {SYNC}/module.py\nwritten: {SYNC}/other.py\n", "")
    before = template.files()
    assert template.run() == (0, "", "")
    assert template.files() == before
    template.write("async def h(): ...\n", "other.py")
    assert template.run() == (0, f"written: {SYNC}/other.py\n", "")


def test_the_twin_of_a_twin_is_itself(template: Template) -> None:
    twin = template.twin_of(SCENARIO["repository.py"])
    assert twin != SCENARIO["repository.py"]
    assert template.twin_of(twin) == twin


@pytest.mark.parametrize("state", ["fresh", "stale", "missing", "extra"])
def test_check_tells_what_would_change_and_writes_nothing(template: Template, state: str) -> None:
    template.write("async def f(): ...\n")
    template.run()
    match state:
        case "stale":
            template.write("def f():  ...\n", "module.py", SYNC)
        case "missing":
            (template.folder / SYNC / "module.py").unlink()
        case "extra":
            template.write("def f(): ...\n", "old/more.py", SYNC)
    before = template.files()
    path = "old/more.py" if state == "extra" else "module.py"
    expected = (0, "", "") if state == "fresh" else (1, f"{state}: {SYNC}/{path}\n", "")
    assert template.run("--check") == expected
    assert template.files() == before
    template.run()
    assert template.run("--check") == (0, "", "")


def test_a_file_without_source_is_removed_with_its_folders(template: Template) -> None:
    template.write("async def f(): ...\n")
    template.run()
    template.write("def f(): ...\n", "old/{{ package_name }}/more.py", SYNC)
    assert template.run() == (0, f"removed: {SYNC}/old/{{{{ package_name }}}}/more.py\n", "")
    assert [path.name for path in (template.folder / SYNC).iterdir()] == ["module.py"]


def test_an_overlay_that_was_never_async_is_not_emptied(template: Template) -> None:
    path = template.write("x = 1\n", "module.py", SYNC)
    code, out, err = template.run()
    assert (code, out) == (2, "")
    assert err == f"{SYNC}: there is no async overlay to write it from\n"
    assert path.exists()


def test_a_hand_written_pair_is_left_alone(
    template: Template, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(generator, "HAND_WRITTEN", {"web/lifespan.py"})
    template.write("import asyncio  # not even formatted\nx = [1,2]\n", "web/lifespan.py")
    template.write("import threading\n", "web/lifespan.py", SYNC)
    before = template.files()
    assert template.run() == (0, "", "")
    assert template.run("--check") == (0, "", "")
    assert template.files() == before


@pytest.mark.parametrize("overlays", [[], [ASYNC], [SYNC]])
@pytest.mark.parametrize("options", [[], ["--check"]])
def test_a_hand_written_file_must_be_in_both_overlays(
    template: Template, monkeypatch: pytest.MonkeyPatch, overlays: list[str], options: list[str]
) -> None:
    monkeypatch.setattr(generator, "HAND_WRITTEN", {"web/lifespan.py"})
    template.write("x = 1\n")
    for overlay in overlays:
        template.write("x = 1\n", "web/lifespan.py", overlay)
    code, out, err = template.run(*options)
    assert (code, out) == (2, "")
    assert err.startswith("web/lifespan.py: in HAND_WRITTEN")


def test_a_hand_written_pair_elsewhere_does_not_count(
    template: Template, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(generator, "HAND_WRITTEN", {"conftest.py"})
    for overlay in (ASYNC, SYNC, "{% if web_sync %}src{% endif %}"):
        template.write("x = 1\n", "conftest.py", overlay)
    template.write("x = 1\n", "module.py", "{% if web_async %}src{% endif %}")
    assert template.run()[2].startswith("conftest.py: in HAND_WRITTEN, so write it in")


# Both forms at work

SCENARIO = {
    "__init__.py": "",
    "models.py": '''\
"""What is stored."""

from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Base(DeclarativeBase):
    pass


class Task(Base):
    __tablename__ = "tasks"

    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str] = mapped_column(unique=True)
''',
    "sessions.py": '''\
"""Where sessions come from."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker
from sqlalchemy.ext.asyncio import create_async_engine as new_engine

from .models import Base


def create_engine(url: str) -> AsyncEngine:
    engine = new_engine(url)
    event.listen(engine.sync_engine, "connect", lambda connection, record: None)
    return engine


@asynccontextmanager
async def open_database(url: str) -> AsyncIterator[async_sessionmaker[AsyncSession]]:
    """Yield a factory of sessions; an async session must be closed before."""
    engine = create_engine(url)
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all, checkfirst=True)
    try:
        yield async_sessionmaker(engine, expire_on_commit=False)
    finally:
        await engine.dispose()
''',
    "repository.py": '''\
"""How tasks are found."""

from collections.abc import AsyncIterator, Sequence

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from .models import Task


class TaskRepository:
    def __init__(self, session: AsyncSession) -> None:
        self.session = session

    def add(self, title: str) -> None:
        self.session.add(Task(title=title))

    async def list_all(self) -> Sequence[Task]:
        return (await self.session.scalars(select(Task).order_by(Task.id))).all()

    async def count(self) -> int:
        return await self.session.scalar(select(func.count(Task.id))) or 0

    async def stream(self) -> AsyncIterator[Task]:
        rows = await self.session.stream(select(Task).order_by(Task.id))
        async for row in rows.scalars():
            yield row

    async def titles(self) -> list[str]:
        return [title async for title in await self.session.stream_scalars(select(Task.title))]

    async def remove(self, title: str) -> None:
        task = (await self.session.execute(select(Task).filter_by(title=title))).scalar_one()
        await self.session.delete(task)
''',
    "unit_of_work.py": '''\
"""One transaction."""

from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Self

from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from .repository import TaskRepository


class UnitOfWork:
    """Use it with `async with`; leaving the block commits."""

    def __init__(self, sessions: async_sessionmaker[AsyncSession]) -> None:
        self.sessions = sessions
        self.after_commit: list[Callable[[], Awaitable[None]]] = []

    async def __aenter__(self) -> Self:
        self.stack = AsyncExitStack()
        self.session = await self.stack.enter_async_context(self.sessions())
        self.tasks = TaskRepository(self.session)
        return self

    async def __aexit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        async with self.stack:
            if error is not None:
                await self.session.rollback()
                return
            await self.session.commit()
        for callback in self.after_commit:
            await callback()
''',
    "scenario.py.jinja": '''\
"""What both forms are asked to do."""

from {{ package_name }}.sessions import open_database
from {{ package_name }}.unit_of_work import UnitOfWork


async def play(url: str) -> list[object]:
    seen: list[object] = []

    async def note() -> None:
        seen.append("committed")

    async with open_database(url) as sessions:
        uow = UnitOfWork(sessions)
        uow.after_commit.append(note)
        async with uow:
            for title in ("one", "two", "three"):
                uow.tasks.add(title)
        try:
            async with uow:
                uow.tasks.add("lost")
                await uow.session.flush()
                seen.append(await uow.tasks.count())
                raise ValueError("roll back")
        except ValueError as error:
            seen.append(str(error))
        async with uow:
            await uow.tasks.remove("two")
            seen.append([task.title for task in await uow.tasks.list_all()])
        async with uow:
            seen.append([task.id async for task in uow.tasks.stream()])
            seen.append(sorted(await uow.tasks.titles()))
            first = await anext(aiter(uow.tasks.stream()))
            seen.append(f"{first.title} of {await uow.tasks.count()}")
    return seen
''',
}


def render(overlay: Path, package: Path) -> ModuleType:
    shutil.copytree(overlay / "{{ package_name }}", package)
    for path in package.rglob("*.jinja"):
        text = path.read_text().replace("{{ package_name }}", package.name)
        path.with_suffix("").write_text(text)
    importlib.invalidate_caches()
    return importlib.import_module(f"{package.name}.scenario")


def test_both_forms_do_the_same(
    template: Template, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for file, text in SCENARIO.items():
        template.write(text, f"{{{{ package_name }}}}/{file}")
    code, out, err = template.run()
    assert (code, len(out.splitlines()), err) == (0, len(SCENARIO), "")
    monkeypatch.syspath_prepend(str(tmp_path))
    awaiting = render(template.folder / ASYNC, tmp_path / "shop_async")
    plain = render(template.folder / SYNC, tmp_path / "shop_sync")

    results = asyncio.run(awaiting.play(f"sqlite+aiosqlite:///{tmp_path}/async.db"))

    assert plain.play(f"sqlite:///{tmp_path}/sync.db") == results
    assert results == [
        "committed",
        4,
        "roll back",
        ["one", "three"],
        "committed",
        [1, 3],
        ["one", "three"],
        "one of 2",
        "committed",
    ]


# Our own template


def test_our_overlays_are_fresh(capsys: pytest.CaptureFixture[str]) -> None:
    overlays = [path.name for path in (ROOT / "template").glob("{% if *async*")]
    assert overlays != []
    assert generator.main(["--check"]) == 0, "".join(capsys.readouterr())
