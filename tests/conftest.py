"""Resources for tests: a renderer, database servers, and an environment without surprises."""

from __future__ import annotations

import importlib.util
import os
import signal
import sys
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType

import pytest
from projects import mysql_database, postgres_database
from rendering import ROOT, Renderer, locked, snapshot

# The modules that projects get for their tests, which start servers.
TEMPLATE = ROOT / "template"
SERVERS = {
    "postgres": TEMPLATE / "{% if use_postgresql %}tests{% endif %}" / "postgres.py",
    "mysql": TEMPLATE / "{% if use_mysql %}tests{% endif %}" / "mysql.py",
}

# These take longest: begun last, one would be waited for while the other cores have nothing to do.
LONGEST = [
    "test_the_makefile_does_all_of_its_own_set_up",
    "test_its_own_tests_pass",
    "test_its_tests_pass_at_once",
    "test_the_demo_works_twice_and_stops_without_a_trace",
    "test_what_changes_in_the_models_is_noticed",
    "test_every_answer_is_a_documented_one",
    "test_work_at_once_loses_nothing",
    "test_both_layers_are_one",
    "test_a_sample_of_the_faults_is_caught",
    "test_half_way_nothing_is_stored_and_the_same_command_starts_again",
    "test_it_works_on_its_data",
    "test_it_answers_503_soon_recovers_and_can_be_stopped_whatever_happens_to_the_server",
]

# What a developer has set for other purposes must not reach the projects under test.
FOREIGN = ("DATABASE_", "COPIER_", "ENVIRONMENT", "PYTEST_ADDOPTS", "PYTHONDONTWRITEBYTECODE")


def pytest_configure(config: pytest.Config) -> None:
    """Start one server of each kind for all workers, which inherit its address."""
    # A run in the background ignores Ctrl-C, and what it starts would too.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for name in list(os.environ):
        if name.startswith(FOREIGN):
            del os.environ[name]
    os.environ |= {
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_SYSTEM": os.devnull,
        "COPIER_SETTINGS_PATH": str(ROOT / "tests" / "no-copier-settings.yml"),
    }
    # A run has one day, and more patience with the network than a person.
    for name, value in {
        "PLINTH_DAY": f"{datetime.now(UTC):%Y%m%d}",
        "UV_HTTP_RETRIES": "10",
        "UV_HTTP_TIMEOUT": "120",
    }.items():
        os.environ.setdefault(name, value)
    if hasattr(config, "workerinput"):
        return
    for module in map(load_server, SERVERS):
        if module.VARIABLE in os.environ:
            continue
        try:
            server = module.start()
        except module.ServerError as error:
            os.environ[f"PLINTH_{module.VARIABLE}"] = f"{error} ({module.HOW_TO_GET})"
        else:
            os.environ[module.VARIABLE] = server.url
            config.add_cleanup(server.stop)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    rank = {name: number for number, name in enumerate(LONGEST)}
    items.sort(key=lambda item: rank.get(item.nodeid.partition("::")[2].partition("[")[0], 99))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say how many updates were made, and what they have lost."""
    updates = {
        (report.nodeid, *value): value
        for reports in terminalreporter.stats.values()
        for report in reports
        for name, value in getattr(report, "user_properties", ())
        if name == "update"
    }
    if updates:
        versions, combinations, edits, conflicts, lost = zip(*updates.values(), strict=True)
        terminalreporter.write_line(
            f"updates: {len(updates)} of projects with {max(edits)} edits each, from"
            f" {len(set(versions))} versions x {len(set(combinations))} combinations of answers;"
            f" conflicts: {sum(conflicts)}, lost lines: {sum(lost)}"
        )


def load_server(name: str) -> ModuleType:
    """Return the module that starts a server for a project's tests."""
    spec = importlib.util.spec_from_file_location(f"rendered_{name}", SERVERS[name])
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session", autouse=True)
def folders_of_projects(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep the projects' own runs of pytest, which clear away the folders of others, apart."""
    # Ours are made where they always are.
    tmp_path_factory.getbasetemp()
    with tempfile.TemporaryDirectory(prefix="plinth-", ignore_cleanup_errors=True) as folder:
        os.environ["PYTEST_DEBUG_TEMPROOT"] = folder
        yield


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """A folder that all workers of this run share."""
    base = tmp_path_factory.getbasetemp()
    folder = (base if worker_id == "master" else base.parent) / "shared"
    folder.mkdir(exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def renderer(shared: Path) -> Renderer:
    with locked(shared / "snapshot.lock"):
        template = shared / "template"
        if not template.exists():
            (shared / "template.part").mkdir()
            snapshot(shared / "template.part").rename(template)
    return Renderer(shared)


@pytest.fixture(scope="session")
def postgres_url() -> str:
    """The address of a PostgreSQL server on which databases can be made."""
    return _address("TEST_POSTGRES_URL")


@pytest.fixture(scope="session")
def mysql_url() -> str:
    """The address of a MySQL or MariaDB server on which databases can be made."""
    return _address("TEST_MYSQL_URL")


def _address(variable: str) -> str:
    if variable in os.environ:
        return os.environ[variable]
    reason = os.environ[f"PLINTH_{variable}"]
    if "CI" in os.environ:
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(params=["sqlite", "postgresql", "mysql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """An empty database of each kind."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/service.db"
    elif request.param == "mysql":
        with mysql_database(request.getfixturevalue("mysql_url")) as made:
            yield made
    else:
        with postgres_database(request.getfixturevalue("postgres_url")) as made:
            yield made
