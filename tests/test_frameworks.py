"""Flask and FastAPI projects answer alike, whatever they are asked."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from projects import Project, free_port, project_at
from rendering import LATER, Renderer

ANSWERS: dict[str, Any] = {
    "package_name": "shop",
    "database": "sqlite",
    "sessions": "sync",
    "examples": ["items", "accounts", "tasks"],
}

# A client of the application, of its kind, and the database of the application.
CLIENTS = {
    "fastapi": """
from fastapi.testclient import TestClient
client = TestClient(app, raise_server_exceptions=False)
database = app.state.database
""",
    "flask": """
from httpx2 import Client, WSGITransport

def serve(environ, start_response):
    # As a server does it, and this client does not.
    environ["PATH_INFO"] = environ["PATH_INFO"].encode().decode("latin-1")
    return app(environ, start_response)

client = Client(transport=WSGITransport(serve, raise_app_exceptions=False), base_url="http://test")
database = app.extensions["database"]
""",
}

# Sends the requests one after another; those that say so meet a service that fails.
SEND = """
import json, logging, sys
from shop.db.errors import DataLayerError, UnavailableError
from shop.features.items import service
from shop.web.app import create_app

logging.disable()
app = create_app()
{client}
FAULTS = dict(bug=ZeroDivisionError("secret"), unknown=DataLayerError("secret"),
              busy=UnavailableError("The database is busy."))
count_items = service.list_items

def list_items(uow, **page):
    with uow:
        uow.items.list()
        raise FAULTS[fault]

stored, answers = [], []
for method, path, content, content_type, fault in json.load(open(sys.argv[1])):
    service.list_items = list_items if fault else count_items
    response = client.request(
        method, path.format(*stored), content=content.encode("utf-8", "surrogateescape"),
        headers={{"content-type": content_type}} if content_type else {{}}, follow_redirects=False,
    )
    if response.status_code == 201:
        stored.append(response.json()["id"])
    names = ("content-type", "allow", "retry-after")
    headers = {{name: response.headers.get(name) for name in names}}
    answers.append([response.status_code, headers, response.text])
print(json.dumps(dict(answers=answers, checked_out=database.engine.pool.checkedout())))
"""

UNKNOWN = "00000000-0000-4000-8000-000000000000"
SEEDED = "00000000-0000-7000-8000-000000000001"
JSON = "application/json"
NEW_TASK = {"type": "sql", "configuration": {"a": [1, None]}, "created_by": "ann"}
NEW_USER = {"email": "Ada@Example.com", "password": "correct horse", "full_name": "Ada 🦊"}

Sent = tuple[str, str, str, str, str]


def sent(
    method: str, path: str, body: Any = None, *, content: str = "", kind: str = "", fault: str = ""
) -> Sent:
    if body is not None:
        content, kind = json.dumps(body), kind or JSON
    return method, path, content, kind, fault


REQUESTS: list[Sent] = [
    # What is asked for; the braces count what was stored before.
    sent("POST", "/items", {"name": "Lamp", "owner_id": None}),
    sent("GET", "/items/{0}"),
    sent("PATCH", "/items/{0}", {"description": "Größe"}),
    sent("POST", "/users", NEW_USER),
    sent(
        "POST", "/users/{1}/files", {"filename": "a.txt", "content_type": "text/plain", "size": 5}
    ),
    sent("GET", "/users/{1}/files"),
    sent("POST", "/tasks", NEW_TASK),
    sent("POST", "/tasks/{3}/status", {"status": "failed", "error": {"code": 1}}),
    sent("GET", "/tasks/{3}/events?limit=1"),
    sent("POST", "/tasks/{3}/archive", {}),
    sent("GET", "/tasks?active=false"),
    sent("DELETE", "/files/{2}"),
    sent("DELETE", "/items/{0}"),
    sent("GET", f"/users/{SEEDED}"),
    sent("GET", "/items?limit=3"),
    sent("GET", "/health/live"),
    sent("GET", "/health/ready"),
    # What is not there, or not so.
    sent("GET", "/nowhere"),
    sent("GET", "/items/a/b"),
    sent("GET", "//items"),
    sent("GET", f"/items/{UNKNOWN}"),
    sent("DELETE", "/items/{0}"),
    sent("PATCH", f"/tasks/{UNKNOWN}", {"name": "x"}),
    sent("POST", f"/users/{UNKNOWN}/files", {"filename": "a", "content_type": "a/b", "size": 1}),
    *[sent(method, "/items") for method in ("PUT", "DELETE", "HEAD", "OPTIONS", "PATCH")],
    *[sent(method, f"/tasks/{UNKNOWN}") for method in ("PUT", "POST", "HEAD")],
    sent("POST", "/health/live"),
    # What contradicts what is stored.
    sent("POST", "/users", NEW_USER | {"email": "ada@example.COM"}),
    sent("POST", "/items", {"name": "Lamp", "owner_id": UNKNOWN}),
    sent("POST", "/tasks/{3}/status", {"status": "completed"}),
    # What is malformed: the path, the query, the body, and all at once.
    *[sent("GET", f"/items/{name}") for name in ("3", "%00", "a%2Fb", "%F0%9F%A6%8A", SEEDED[:-1])],
    *[
        sent("GET", f"/items?{query}")
        for query in ("limit=0", "limit=x", "limit=", "limit=1&limit=2", "limit=2&limit=x")
    ],
    *[
        sent("GET", f"/items?{query}")
        for query in ("colour=red", "after=no", "after=%00", "limit=1.0")
    ],
    *[
        sent("GET", f"/items?{query}")
        for query in ("colour=red&colour=blue&limit=900", "=", "after")
    ],
    sent("GET", "/tasks?active=maybe&status=done&created_after=0&tag=%00&limit=-1&a=b"),
    sent("PATCH", "/items/3", {"name": None, "price": 1}),
    sent("GET", f"/users/{SEEDED[1:]}/files?limit=0"),
    sent("POST", "/users", NEW_USER | {"email": "ada"}),
    sent("POST", "/users", NEW_USER | {"password": "short", "role": "owner", "a": [1]}),
    sent("PATCH", f"/users/{SEEDED}", {"is_active": "yes", "email": None}),
    sent("POST", "/tasks", NEW_TASK | {"tags": ["", 1], "expires_at": 0, "priority": True}),
    sent("POST", "/items", []),
    *[sent("POST", "/items", text) for text in ("text", 1)],
    *[sent("POST", "/items", fields) for fields in ({}, {"name": 1}, {"name": "\0"})],
    *[
        sent("POST", "/items", content=content, kind=JSON)
        for content in (
            *["", "null", "{", '{"name": "x"', '{"name": NaN}', '{"name": "\\ud800"}', "\ufeff{}"],
            *["[" * 100_000, "1" * 5000, '{"name": "\udcff"}', '{"name": "a", "name": "b"}', " "],
        )
    ],
    *[
        sent("POST", "/items", {"name": "Sofa"}, kind=kind)
        for kind in ("text/plain", "application/xml", "application/merge-patch+json", "json")
    ],
    sent("POST", "/items", content='{"name": "Sofa"}'),
    sent("POST", "/items", {"name": "Sofa"}, kind="Application/JSON; charset=utf-8"),
    sent("POST", "/items", content="name=Sofa", kind="application/x-www-form-urlencoded"),
    # What fails here.
    *[sent("GET", "/items", fault=fault) for fault in ("bug", "busy", "unknown")],
    *[sent("GET", "/items", fault="bug")] * 100,
    sent("GET", "/items?limit=1"),
]


@pytest.fixture(scope="module")
def answers(renderer: Renderer, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Send the same requests to a project of each kind."""
    found = {}
    for web, client in CLIENTS.items():
        folder = tmp_path_factory.mktemp(web)
        (folder / "requests.json").write_text(json.dumps(REQUESTS))
        chosen = ANSWERS | {"web": web}
        project = Project(renderer.render(chosen), chosen, f"sqlite:///{folder}/a.db")
        project.run_each("shop migrate", "shop seed --rows=5")
        output = project.run_code(SEND.format(client=client), str(folder / "requests.json"))
        found[web] = json.loads(output.splitlines()[-1])
    return found


def test_each_request_is_answered_alike(answers: dict[str, Any]) -> None:
    for request, one, other in zip(
        REQUESTS, answers["fastapi"]["answers"], answers["flask"]["answers"], strict=True
    ):
        assert comparable(other) == comparable(one), request


def test_the_requests_show_every_kind_of_answer(answers: dict[str, Any]) -> None:
    statuses = {status for status, _, _ in answers["flask"]["answers"]}

    assert statuses == {200, 201, 204, 400, 404, 405, 409, 422, 500, 503}
    assert all("secret" not in text for _, _, text in answers["flask"]["answers"])


@LATER
def test_no_failure_keeps_a_connection(answers: dict[str, Any]) -> None:
    assert {web: found["checked_out"] for web, found in answers.items()} == {
        "fastapi": 0,
        "flask": 0,
    }


def test_both_document_the_same(renderer: Renderer, tmp_path: Path) -> None:
    documents = {}
    for web, client in CLIENTS.items():
        chosen = ANSWERS | {"web": web}
        project = Project(renderer.render(chosen), chosen, f"sqlite:///{tmp_path}/a.db")
        code = "from shop.web.app import create_app\napp = create_app()\n" + client
        output = project.run_code(
            code + "import json; print(json.dumps(client.get('/openapi.json').json()))"
        )
        documents[web] = promises(json.loads(output.splitlines()[-1]))

    assert documents["flask"] == documents["fastapi"]


# A query with fields that may be named more than once, and a route that answers with them.
LISTS = {
    "fastapi": """
from fastapi import Header, Query

@app.get("/tags")
def show(query: Annotated[Tags, Query()]) -> Tags:
    return query

@app.get("/key")
def tell(header: Annotated[Key, Header()]) -> str | None:
    return header.api_key
""",
    "flask": """
from shop.api.endpoint import endpoint

@app.get("/tags")
@endpoint(Tags)
def show(query: Tags) -> Tags:
    return query

@app.get("/key")
@endpoint(str | None)
def tell(header: Key) -> str | None:
    return header.api_key
""",
}
TAGS = """
import json
from typing import Annotated
from pydantic import BaseModel, Field
from shop.web.app import create_app

class Tags(BaseModel):
    all: list[str]
    some: list[int] | None = None
    few: Annotated[list[str], Field(max_length=2)] | None = None
    ids: set[int] = set()
    one: str = ""

class Key(BaseModel):
    api_key: str | None = Field(default=None, alias="X-API-Key")

app = create_app()
"""


def test_a_query_may_name_a_field_more_than_once(renderer: Renderer, tmp_path: Path) -> None:
    found = {}
    for web, client in CLIENTS.items():
        chosen = ANSWERS | {"web": web}
        project = Project(renderer.render(chosen), chosen, f"sqlite:///{tmp_path}/a.db")
        ask = "".join(
            f"print(json.dumps(client.get('/tags?{query}').json(), sort_keys=True))\n"
            for query in (
                "all=a",
                "all=a&all=b&some=1&some=2&one=c&one=d",
                "some=1",
                "all=a&some=x",
                "all=a&few=b&ids=1",
                "all=a&few=b&few=c&few=d&ids=1&ids=1",
            )
        )
        found[web] = project.run_code(TAGS + LISTS[web] + client + ask).splitlines()

    told = {"all": ["a", "b"], "some": [1, 2], "few": None, "ids": [], "one": "d"}
    assert json.loads(found["flask"][1]) == told
    assert json.loads(found["flask"][4])["few"] == ["b"]
    assert found["flask"] == found["fastapi"]


def test_the_name_of_a_header_has_no_capitals(renderer: Renderer, tmp_path: Path) -> None:
    for web, client in CLIENTS.items():
        chosen = ANSWERS | {"web": web}
        project = Project(renderer.render(chosen), chosen, f"sqlite:///{tmp_path}/a.db")
        ask = "".join(
            f"print(json.dumps(client.get('/key', headers={headers}).json()))\n"
            for headers in ({"X-API-Key": "a"}, {"x-api-KEY": "b"}, {})
        )

        said = project.run_code(TAGS + LISTS[web] + client + ask).splitlines()

        assert said == ['"a"', '"b"', "null"]


# The same model as what stands behind the question mark, and as a body.
SEARCH = """
from shop.api.endpoint import endpoint

@app.post("/search")
@endpoint(Tags)
def search(body: Tags) -> Tags:
    return body

document = client.get("/openapi.json").json()
schemas = set(document["components"]["schemas"])
print(set(re.findall('#/components/schemas/([A-Za-z0-9_]+)', json.dumps(document))) - schemas)
"""


def test_a_query_may_be_a_body_too(renderer: Renderer, tmp_path: Path) -> None:
    chosen = ANSWERS | {"web": "flask"}
    project = Project(renderer.render(chosen), chosen, f"sqlite:///{tmp_path}/a.db")

    said = project.run_code("import re\n" + TAGS + LISTS["flask"] + CLIENTS["flask"] + SEARCH)

    assert said == "set()\n"


def comparable(answer: list[Any]) -> list[Any]:
    """Return an answer without the ids and times that differ between any two databases."""
    status, headers, text = answer
    try:
        body = json.dumps(json.loads(text), sort_keys=True)
    except ValueError:
        body = text
    body = re.sub(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "<id>", body)
    body = re.sub(r"\d{4}-\d\d-\d\dT[\d:.]+Z", "<time>", body)
    return [status, headers, re.sub(r'"next": "[^"]+"', '"next": "<cursor>"', body)]


def promises(document: dict[str, Any]) -> dict[str, Any]:
    """Return what a document says of requests and answers, without its words."""
    found: dict[str, Any] = {"schemas": plain(document["components"]["schemas"])}
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            found[f"{method} {path}"] = {
                "summary": operation["summary"],
                "parameters": {
                    (said["in"], said["name"], said["required"]): plain(said["schema"])
                    for said in operation.get("parameters", [])
                },
                "body": operation.get("requestBody", {}).get("content"),
                "answers": {
                    status: plain(answer.get("content", {}))
                    for status, answer in operation["responses"].items()
                    # FastAPI's health checks do not say that anything may fail.
                    if status[1:] != "XX" or not path.startswith("/health")
                },
            }
    return found


def plain(schema: Any) -> Any:
    """Return a schema without titles and null defaults, its numbers as FastAPI has them."""
    if isinstance(schema, dict):
        said = {name: value for name, value in schema.items() if (name, value) != ("default", None)}
        return {name: plain(value) for name, value in said.items() if name != "title"}
    if isinstance(schema, list):
        return [plain(value) for value in schema]
    return float(schema) if isinstance(schema, int) else schema


# A process of gunicorn ends without an application, with one that only shows why, and with ours.
EXITS = """
from types import SimpleNamespace
from gunicorn.util import make_fail_app
from shop.web import app, server

made = app.create_app()
made.extensions["database"].dispose = lambda: print("closed")
for worker in [{}, {"wsgi": make_fail_app("a mistake")}, {"wsgi": made}]:
    server.worker_exit(None, SimpleNamespace(**worker))
"""


@pytest.mark.parametrize("extras", [[], ["metrics"]])
def test_an_application_that_cannot_be_made_is_the_only_trouble(
    renderer: Renderer, tmp_path: Path, extras: list[str]
) -> None:
    answers = ANSWERS | {"web": "flask", "extras": extras}
    project = project_at(renderer, tmp_path, f"sqlite:///{tmp_path}/a.db", answers)
    assert project.run_code(EXITS) == "closed\n"
    with (project.folder / "src/shop/features/routes.py").open("a") as routes:
        routes.write('raise RuntimeError("a mistake")\n')

    served = project.try_run("shop", "serve", PORT=str(free_port()))

    assert served.returncode != 0
    assert "RuntimeError: a mistake" in served.stderr
    assert "worker exit" not in served.stderr
