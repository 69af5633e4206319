"""What is asked for twice, by a client or by the service itself, is stored once."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psycopg
import pytest
from projects import Project, ask, postgres_database, project_at, run_inside
from rendering import EVERYTHING, LATER, LAYERS, Renderer, answers_of
from sqlalchemy import make_url

TASK = {"type": "sql", "configuration": {"a": 1}, "created_by": "ann"}


@LAYERS
def test_a_unit_that_is_done_again_is_stored_once(
    renderer: Renderer, tmp_path: Path, layer: str, postgres_url: str, mysql_url: str
) -> None:
    answers = EVERYTHING | answers_of(layer) | {"other_databases": ["mysql"]}
    run_inside(project_at(renderer, tmp_path, "", answers), "idempotency")


@pytest.mark.parametrize(
    ("layer", "web"),
    [
        ("async", "fastapi"),
        pytest.param("sync", "flask", marks=LATER),
        pytest.param("pydal", "fastapi", marks=LATER),
    ],
)
def test_a_commit_whose_answer_is_lost_stores_once_and_answers_as_if_it_were_not(
    renderer: Renderer, postgres_url: str, layer: str, web: str
) -> None:
    answers = EVERYTHING | answers_of(layer) | {"web": web}
    with postgres_database(postgres_url) as url, Proxy(url).running() as proxy:
        project = Project(renderer.render(answers), answers, url)
        project.run("shop", "migrate")
        with project.serve(DATABASE_URL=proxy.url) as address:
            user = {"email": "a@example.com", "password": "correct horse", "full_name": "Ada"}
            files = f"{address}/users/{ask(f'{address}/users', user)[1]['id']}/files"
            file = {"filename": "a.txt", "content_type": "text/plain", "size": 1}
            statuses = []
            for path, body in [
                (f"{address}/tasks", TASK),
                (files, file),
                # It does not say that it may be done again.
                (f"{address}/items", {"name": "Lamp"}),
            ]:
                proxy.lose_the_next_answer_to_a_commit()
                statuses.append(ask(path, body)[0])
                assert not proxy.is_armed

        with psycopg.connect(url) as connection:
            tables = ("tasks", "task_events", "files", "items")
            counts = [
                connection.execute(f"SELECT count(*) FROM {table}".encode()).fetchall()[0][0]
                for table in tables
            ]
    assert statuses == [201, 201, 503]
    assert counts == [1, 1, 1, 1]


class Proxy:
    """Stands between a client and a server, and loses an answer when it is told to."""

    def __init__(self, url: str) -> None:
        parsed = make_url(url)
        assert parsed.host is not None
        assert parsed.port is not None
        self.is_armed = False
        self._server = (parsed.host, parsed.port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        there = parsed.set(port=self._listener.getsockname()[1])
        self.url = there.render_as_string(hide_password=False)

    def lose_the_next_answer_to_a_commit(self) -> None:
        self.is_armed = True

    @contextmanager
    def running(self) -> Iterator[Proxy]:
        accepting = threading.Thread(target=self._accept)
        accepting.start()
        try:
            yield self
        finally:
            self._listener.shutdown(socket.SHUT_RDWR)
            self._listener.close()
            accepting.join()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(self._server)
                for way in (self._ask, self._answer):
                    threading.Thread(target=way, args=(client, server), daemon=True).start()

    def _ask(self, client: socket.socket, server: socket.socket) -> None:
        with suppress(OSError):
            while data := client.recv(65536):
                server.sendall(data)
        _close(server)

    def _answer(self, client: socket.socket, server: socket.socket) -> None:
        with suppress(OSError):
            while data := server.recv(65536):
                # The server names the command that is done.
                if self.is_armed and b"COMMIT\0" in data:
                    self.is_armed = False
                    break
                client.sendall(data)
        _close(client)
        _close(server)


def _close(end: socket.socket) -> None:
    with suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)
    end.close()
