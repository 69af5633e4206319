"""Stands between a service and PostgreSQL, and counts."""

import socket
import threading


class Proxy:
    """Stands before a PostgreSQL server, and counts how often it was ready for the next query."""

    def __init__(self, host: str, port: int) -> None:
        self.address = (host, port)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.round_trips = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            client, _ = self.listener.accept()
            server = socket.create_connection(self.address)
            threading.Thread(target=self._ask, args=[client, server], daemon=True).start()
            threading.Thread(target=self._answer, args=[client, server], daemon=True).start()

    def _ask(self, client: socket.socket, server: socket.socket) -> None:
        while data := client.recv(1 << 16):
            server.sendall(data)
        server.shutdown(socket.SHUT_WR)

    def _answer(self, client: socket.socket, server: socket.socket) -> None:
        received, begun = b"", False
        while data := server.recv(1 << 16):
            received += data
            # Before it begins, it may refuse encryption by a single letter.
            while not begun and received[:1] == b"N":
                received = received[1:]
            begun = begun or bool(received)
            while len(received) >= 5:
                # A message: its kind, the length of the rest, the rest.
                end = 1 + int.from_bytes(received[1:5])
                if len(received) < end:
                    break
                self.round_trips += received[:1] == b"Z"
                received = received[end:]
            # Not before it was counted, or the count would follow the answer.
            client.sendall(data)
        client.shutdown(socket.SHUT_WR)
