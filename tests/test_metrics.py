"""What a project counts agrees with what was done to it; spans, log lines and the dashboard."""

from __future__ import annotations

import json
import os
import re
import signal
import urllib.request
from collections.abc import Iterator
from difflib import ndiff
from pathlib import Path
from typing import Any

import psycopg
import pytest
from projects import Project, ask, postgres_database, wait_until
from rendering import LATER, ROOT, Renderer, answers_of

ANSWERS: dict[str, Any] = {
    "package_name": "shop",
    "database": "postgresql",
    "examples": ["items"],
    "extras": ["metrics"],
}
# Each framework, and each kind of session, all of which have the same events.
SERVED = pytest.mark.parametrize(
    ("layer", "web"),
    [
        ("async", "fastapi"),
        ("sync", "flask"),
        pytest.param("sync", "fastapi", marks=LATER),
        pytest.param("pydal", "fastapi", marks=LATER),
        pytest.param("pydal", "flask", marks=LATER),
    ],
)
SAMPLE = re.compile(r"^(\w+)(?:\{(.*)\})? (\S+)$", re.MULTILINE)
LABEL = re.compile(r'(\w+)="([^"]*)"')
Samples = dict[tuple[str, frozenset[str]], float]

# A pool of one, whose connection is taken; then a server that is not there.
FAILURES = """
from prometheus_client import REGISTRY
from pydantic import SecretStr
from sqlalchemy import text

from shop.db.engine import Database
from shop.db.errors import UnavailableError
from shop.db.metrics import observe
from shop.db.observed import engines_of
from shop.db.runtime import run
from shop.features.unit_of_work import UnitOfWork
from shop.settings import Settings

def told(name, **labels):
    return REGISTRY.get_sample_value(name, {"role": "primary", **labels})

async def fails(database):
    try:
        async with UnitOfWork(database) as uow:
            await uow.execute(text("SELECT 1"))
    except UnavailableError:
        return True

async def main():
    database = Database(Settings())
    observe(engines_of(database))
    async with UnitOfWork(database) as uow:
        await uow.execute(text("SELECT 1"))
        print(told("db_pool_checked_out"), told("db_pool_overflow"), told("db_pool_size"))
        async with UnitOfWork(database) as other:
            await other.execute(text("SELECT 1"))
            print(told("db_pool_checked_out"), told("db_pool_overflow"))
            assert await fails(database)
    print(told("db_pool_checked_out"), told("db_pool_overflow"))
    print("busy", told("db_pool_failures_total", reason="busy"))
    print(told("db_pool_wait_seconds_sum") > 0.2, told("db_pool_wait_seconds_count"))
    await database.dispose()
    nowhere = Database(Settings(database_url=SecretStr("postgresql://u@127.0.0.1:1/none")))
    observe(engines_of(nowhere))
    assert await fails(nowhere)
    print("unreachable", told("db_pool_failures_total", reason="unreachable"))

run(main)
"""
# The metrics of ours, each with its kind and its labels.
METRICS = """
from prometheus_client import REGISTRY
import shop.web.metrics
for metric in REGISTRY.collect():
    if metric.name.startswith(("db_", "http_")):
        labels = REGISTRY._names_to_collectors[metric.name]._labelnames
        print(metric.name, metric.type, *labels)
"""
# Whether the variables ask for spans, and which packages that loads when an application is made.
IMPORTS = """
import json, os, sys
from shop.web.app import create_app
from shop.web.tracing import is_tracing

def loaded():
    return [name for name in ("opentelemetry.sdk", "requests") if name in sys.modules]

create_app()
for variables in json.loads(sys.argv[1]):
    os.environ |= variables
    print(is_tracing(), loaded())
    for name in variables:
        del os.environ[name]
os.environ["OTEL_EXPORTER_OTLP_ENDPOINT"] = "http://127.0.0.1:1"
create_app()
print(is_tracing(), loaded())
"""
# What spans say of the service that made them.
RESOURCE = """
from opentelemetry.trace import get_tracer_provider
from shop.web.app import create_app

create_app()
resource = get_tracer_provider().resource.attributes
print(resource["service.name"], resource.get("team"))
"""

# A route that fails, asked by each framework's own client.
BUG = {
    "fastapi": """
import asyncio, httpx2
from shop.web.app import create_app

app = create_app()

@app.get("/bug/{number}")
def bug(number: int):
    raise RuntimeError("it went wrong")

async def main():
    transport = httpx2.ASGITransport(app, raise_app_exceptions=False)
    async with httpx2.AsyncClient(transport=transport, base_url="http://x") as client:
        answer = await client.get("/bug/1", headers={"X-Request-ID": "mine"})
    print(answer.status_code, answer.headers["x-request-id"], answer.json()["request_id"])

asyncio.run(main())
""",
    "flask": """
from shop.web.app import create_app

app = create_app()

@app.get("/bug/<int:number>")
def bug(number):
    raise RuntimeError("it went wrong")

answer = app.test_client().get("/bug/1", headers={"X-Request-ID": "mine"})
print(answer.status_code, answer.headers["x-request-id"], answer.json["request_id"])
""",
}
COUNTED = """
from prometheus_client import REGISTRY
for metric in REGISTRY.collect():
    for sample in metric.samples:
        if sample.name == "http_request_duration_seconds_count":
            print(*sample.labels.values(), sample.value)
"""


@pytest.fixture
def project(renderer: Renderer, postgres_url: str, layer: str, web: str) -> Iterator[Project]:
    """A migrated project that counts."""
    answers = ANSWERS | answers_of(layer) | {"web": web}
    with postgres_database(postgres_url) as url:
        made = Project(renderer.render(answers), answers, url)
        made.run("shop", "migrate")
        yield made


def samples_of(address: str) -> Samples:
    """Return what Prometheus would be told."""
    with urllib.request.urlopen(f"{address}/metrics") as response:
        text = response.read().decode()
    return {
        (name, frozenset(f"{key}={value}" for key, value in LABEL.findall(labels))): float(number)
        for name, labels, number in SAMPLE.findall(text)
    }


def value_of(samples: Samples, name: str, **labels: object) -> float:
    """Add up the samples that have these labels."""
    wanted = {f"{key}={value}" for key, value in labels.items()}
    return sum(value for (known, has), value in samples.items() if known == name and wanted <= has)


@SERVED
def test_the_counts_agree_with_a_known_load(project: Project, web: str) -> None:
    settings = {"DATABASE_LOCK_TIMEOUT": "0.1", "DATABASE_POOL_SIZE": "3"}
    one = {"fastapi": "/items/{item_id}", "flask": "/items/<item_id>"}[web]
    with project.serve_process(**settings) as served:
        address = served.address
        alive = value_of(samples_of(address), "http_request_duration_seconds_count", status=200)
        made = [ask(f"{address}/items", {"name": f"Lamp {n}"})[1]["id"] for n in range(4)]
        assert [ask(f"{address}/items/{item}")[0] for item in made] == [200] * 4
        unknown = f"{address}/items/{made[0][:-4]}ffff"
        assert ask(unknown, {"name": "Sofa"}, "PATCH")[0] == 404
        assert [ask(f"{address}/items", {"nome": "?"})[0] for _ in range(3)] == [422] * 3
        with psycopg.connect(project.url) as holder:
            holder.execute("SELECT 1 FROM items FOR UPDATE")
            assert ask(f"{address}/items/{made[0]}", {"name": "Sofa"}, "PATCH")[0] == 503
        samples = samples_of(address)
        served.process.send_signal(signal.SIGTERM)
        lines = [json.loads(line) for line in served.end().splitlines() if line.startswith("{")]

    def requests(**labels: object) -> float:
        return value_of(samples, "http_request_duration_seconds_count", **labels)

    def units(outcome: str) -> float:
        return value_of(samples, "db_unit_duration_seconds_count", role="primary", outcome=outcome)

    assert requests(method="POST", route="/items", status=201) == 4
    assert requests(method="GET", route=one, status=200) == 4
    assert requests(method="PATCH", route=one, status=404) == 1
    assert requests(method="POST", route="/items", status=422) == 3
    assert requests(method="PATCH", route=one, status=503) == 1
    # Beside them, who asked whether it lives, and one that asked for the counts.
    assert requests() == 4 + 4 + 1 + 3 + 1 + alive + 1
    # Five attempts at the row that was locked.
    ends = {end: units(end) for end in ("committed", "read", "rolled back", "failed")}
    assert ends == {"committed": 4, "read": 4, "rolled back": 1, "failed": 5}
    assert value_of(samples, "db_retries_total", reason="BusyError") == 4
    assert value_of(samples, "db_retries_total") == 4
    assert value_of(samples, "db_pool_wait_seconds_count", role="primary") == 14
    assert value_of(samples, "db_pool_size", role="primary") == 3
    assert value_of(samples, "db_pool_checked_out") == 0
    # What was locked was waited for, and what waited is among the statements.
    assert value_of(samples, "db_unit_duration_seconds_sum", outcome="failed") > 0.5
    assert value_of(samples, "db_query_duration_seconds_sum") > 0.5
    assert value_of(samples, "db_query_duration_seconds_count") >= 14
    retried = [line for line in lines if line["logger"] == "shop.db.retry"]
    (refused,) = [line for line in lines if line.get("status") == 503]
    assert {line["request_id"] for line in retried} == {refused["request_id"]}
    assert (refused["method"], len(retried)) == ("PATCH", 4)


@pytest.mark.parametrize(
    ("layer", "web"),
    [("async", "fastapi"), pytest.param("sync", "fastapi", marks=LATER),
     pytest.param("pydal", "fastapi", marks=LATER)],
)  # fmt: skip
def test_waits_without_end_and_servers_out_of_reach_are_counted(
    project: Project, layer: str
) -> None:
    script = FAILURES
    if layer != "async":
        script = script.replace("async ", "").replace("await ", "")
    settings = {
        "DATABASE_POOL_SIZE": "1",
        "DATABASE_MAX_OVERFLOW": "1",
        "DATABASE_POOL_TIMEOUT": "0.3",
    }
    # Then comes what is logged: which code has the connections.
    assert project.run_code(script, **settings).splitlines()[:6] == [
        "1.0 0.0 1.0",
        "2.0 1.0",
        # The second was closed, because the pool keeps one.
        "0.0 0.0",
        "busy 1.0",
        "True 3.0",
        "unreachable 1.0",
    ]


@LATER
@pytest.mark.parametrize("sessions", ["async", "sync"])
def test_each_server_has_its_role(renderer: Renderer, postgres_url: str, sessions: str) -> None:
    answers = ANSWERS | {"sessions": sessions, "extras": ["metrics", "replicas"]}
    with postgres_database(postgres_url) as url:
        project = Project(renderer.render(answers), answers, url)
        project.run("shop", "migrate")
        # Which of them it is, the service takes from the variable.
        with project.serve(DATABASE_REPLICA_URL=url) as address:
            made = [ask(f"{address}/items", {"name": "Lamp"})[1]["id"] for _ in range(2)]
            assert [ask(f"{address}/items/{item}")[0] for item in made + made] == [200] * 4
            samples = samples_of(address)
    for role, outcome, units in [("primary", "committed", 2), ("replica", "read", 4)]:
        name = "db_unit_duration_seconds_count"
        assert value_of(samples, name, role=role) == units
        assert value_of(samples, name, role=role, outcome=outcome) == units
        assert value_of(samples, "db_pool_size", role=role) == 5


@LATER
@pytest.mark.parametrize(("layer", "web"), [("async", "fastapi"), ("sync", "flask")])
def test_several_processes_count_together(project: Project, tmp_path: Path) -> None:
    with project.serve_process("--workers=2", TMPDIR=str(tmp_path)) as served:
        address = served.address
        wait_until(lambda: size_of(address) == 2 * 5, 30)
        assert [ask(f"{address}/items", {"name": f"Lamp {n}"})[0] for n in range(8)] == [201] * 8
        counted = "http_request_duration_seconds_count"
        # An answer is counted when it has been sent.
        wait_until(lambda: value_of(samples_of(address), counted, status=201) == 8)
        samples = samples_of(address)
        assert value_of(samples, "db_unit_duration_seconds_count", outcome="committed") == 8
        assert not any(label.startswith("pid=") for _, labels in samples for label in labels)

        # One that dies takes its connections with it, and its successor has as many.
        died = workers_of(tmp_path)[0]
        os.kill(died, signal.SIGKILL)
        wait_until(lambda: size_of(address) == 2 * 5 and died not in workers_of(tmp_path), 30)
        assert value_of(samples_of(address), "db_unit_duration_seconds_count") == 8
        served.process.send_signal(signal.SIGTERM)
        served.process.wait(60)
    assert list(tmp_path.glob("metrics-*")) == []


def size_of(address: str) -> float:
    """Return what all processes keep open, 0 if none answers now."""
    try:
        return value_of(samples_of(address), "db_pool_size")
    except OSError:
        return 0


def workers_of(folder: Path) -> list[int]:
    """Return the processes that have counted connections."""
    return [int(path.stem.rpartition("_")[2]) for path in folder.glob("metrics-*/gauge_live*.db")]


@pytest.mark.parametrize(
    ("layer", "web"), [("async", "fastapi"), pytest.param("sync", "flask", marks=LATER)]
)
def test_spans_are_made_where_the_variables_ask_for_them(project: Project, web: str) -> None:
    one = {"fastapi": "/items/{item_id}", "flask": "/items/<item_id>"}[web]
    trace = "0af7651916cd43dd8448eb211c80319c"
    with project.serve_process(OTEL_TRACES_EXPORTER="console") as served:
        _, item = ask(f"{served.address}/items", {"name": "Lamp"})
        request = urllib.request.Request(f"{served.address}/items/{item['id']}")
        request.add_header("traceparent", f"00-{trace}-b7ad6b7169203331-01")
        urllib.request.urlopen(request).close()
        served.process.send_signal(signal.SIGTERM)
        spans = spans_in(served.end())
    mine = {span["name"]: span for span in spans if span["context"]["trace_id"] == f"0x{trace}"}
    root = mine[f"GET {one}"]
    assert root["parent_id"] == "0xb7ad6b7169203331"
    assert root["attributes"]["http.response.status_code"] == 200
    assert root["resource"]["attributes"]["service.name"] == "shop"
    (statement,) = [span for span in mine.values() if "db.statement" in span["attributes"]]
    assert "FROM items" in statement["attributes"]["db.statement"]
    assert item["id"] not in json.dumps(statement)


@pytest.mark.parametrize(
    ("attributes", "said"),
    [("team=ours", "shop ours"), ("team=ours,service.name=mine", "mine ours")],
)
def test_a_service_is_called_as_the_variables_say(
    renderer: Renderer, attributes: str, said: str
) -> None:
    project = Project(renderer.render(ANSWERS), ANSWERS, "sqlite:///./nowhere.db")
    variables = {"OTEL_TRACES_EXPORTER": "console", "OTEL_RESOURCE_ATTRIBUTES": attributes}

    assert project.run_code_anew(RESOURCE, **variables) == f"{said}\n"


@pytest.mark.parametrize(("layer", "web"), [("async", "fastapi"), ("sync", "flask")])
def test_an_exporter_that_is_not_installed_is_told_in_one_line(
    renderer: Renderer, layer: str, web: str
) -> None:
    answers = ANSWERS | answers_of(layer) | {"web": web}
    project = Project(renderer.render(answers), answers, "sqlite:///./nowhere.db")

    served = project.try_run("shop", "serve", PORT="1", OTEL_TRACES_EXPORTER="zipkin")

    assert served.returncode == 1
    # Gunicorn begins with a line of its own.
    *before, line = served.stderr.splitlines()
    assert len(before) == (web == "flask")
    assert line.startswith("OTEL_TRACES_EXPORTER: names an exporter that is not installed: zipkin ")


def spans_in(output: str) -> list[dict[str, Any]]:
    """Return the spans that were written among lines of a log."""
    blocks = re.findall(r"^\{\n.*?^\}$", output, re.MULTILINE | re.DOTALL)
    return [json.loads(block) for block in blocks]


@pytest.mark.parametrize(
    ("layer", "web"), [("async", "fastapi"), pytest.param("sync", "flask", marks=LATER)]
)
def test_without_tracing_its_packages_are_not_even_imported(
    renderer: Renderer, tmp_path: Path, layer: str, web: str
) -> None:
    answers = ANSWERS | answers_of(layer) | {"web": web}
    project = Project(renderer.render(answers), answers, f"sqlite:///{tmp_path}/a.db")
    collector = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1"}
    cases = [
        {},
        {"OTEL_TRACES_EXPORTER": "none"},
        collector | {"OTEL_SDK_DISABLED": "true"},
        collector,
        {"OTEL_TRACES_EXPORTER": "console"},
    ]

    told = project.run_code_anew(IMPORTS, json.dumps(cases)).splitlines()

    assert told[:5] == ["False []"] * 3 + ["True []"] * 2
    assert told[5] == "True ['opentelemetry.sdk', 'requests']"


def test_the_dashboard_shows_every_metric_and_no_other(renderer: Renderer, tmp_path: Path) -> None:
    answers = ANSWERS | {"database": "sqlite"}
    project = Project(renderer.render(answers), answers, f"sqlite:///{tmp_path}/a.db")
    project.run("shop", "migrate")
    dashboard = json.loads((project.folder / "grafana" / "dashboard.json").read_text())
    known = {
        name: (kind, set(labels))
        for name, kind, *labels in map(str.split, project.run_code(METRICS).splitlines())
    }
    shown = set()
    for panel in dashboard["panels"]:
        for target in panel["targets"]:
            query = target["expr"]
            (metric, *rest) = re.findall(r"\b(?:db|http)_\w+", query)
            assert set(rest) <= {metric}, query
            name = re.sub("_(total|count|bucket)$", "", metric)
            kind, labels = known[name]
            assert metric == name + {"counter": "_total", "gauge": ""}.get(
                kind, metric[len(name) :]
            )
            assert (kind == "histogram") == metric.endswith(("_count", "_bucket")), query
            by = re.findall(r"by \(([\w, ]+)\)", query)
            used = {label for names in by for label in names.split(", ")}
            used |= set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"]))
            used |= set(re.findall(r'(\w+)=~?"', query))
            assert used <= labels | {"le", "job"}, query
            assert query.count("(") == query.count(")"), query
            shown.add(name)
    assert shown == set(known)
    places = [panel["gridPos"] for panel in dashboard["panels"]]
    assert len({(place["x"], place["y"]) for place in places}) == len(places)
    assert all(place["x"] + place["w"] <= 24 for place in places)
    assert len({panel["id"] for panel in dashboard["panels"]}) == len(places)
    variables = {variable["name"] for variable in dashboard["templating"]["list"]}
    named = set(re.findall(r"\$\{?(\w+)", json.dumps(dashboard))) - {"__rate_interval"}
    assert named == variables
    for document, column in [
        (project.folder / "README.md", 2),
        (ROOT / "docs" / "operations.md", 3),
    ]:
        rows = [line.split("|") for line in document.read_text().splitlines() if line[:1] == "|"]
        for name, (kind, labels) in known.items():
            full = name + ("_total" if kind == "counter" else "")
            (row,) = [row for row in rows if f"`{full}`" in row[1]]
            assert {*re.findall(r"`(\w+)`", row[column])} == labels, full
            assert column == 2 or row[2].strip() == kind


@pytest.mark.parametrize(
    ("layer", "web"), [("async", "fastapi"), pytest.param("sync", "flask", marks=LATER)]
)
def test_a_request_that_nobody_foresaw_has_an_id_too(
    renderer: Renderer, tmp_path: Path, layer: str, web: str
) -> None:
    answers = ANSWERS | answers_of(layer) | {"web": web}
    project = Project(renderer.render(answers), answers, f"sqlite:///{tmp_path}/a.db")
    route = {"fastapi": "/bug/{number}", "flask": "/bug/<int:number>"}[web]

    told = project.run_code(BUG[web] + COUNTED).splitlines()

    assert "500 mine mine" in told
    assert f"GET {route} 500 1.0" in told
    assert any("GET /bug/1 500" in line for line in told)


# The files that projects without metrics have in another form.
PLAIN = [("fastapi", "commands.py"), ("flask", "app.py"), ("flask", "server.py")]


@pytest.mark.parametrize(("framework", "name"), PLAIN)
def test_what_observes_is_all_that_is_added(framework: str, name: str) -> None:
    plain, observed = (
        (
            ROOT / f"template/{{% if {framework}_{kind} %}}src{{% endif %}}/{{{{ package_name }}}}"
            f"/web/{name}"
        )
        .read_text()
        .split("\n")
        for kind in ("plain", "metrics")
    )
    compared = ndiff([line.strip() for line in plain], [line.strip() for line in observed])
    removed = {line[2:] for line in compared if line.startswith("- ")}
    # The server's own line for each request: the application has a better one.
    replaced = {'accesslog = "-"', "access_log=access_log,", "from ..commands import load_settings"}
    assert removed <= replaced
