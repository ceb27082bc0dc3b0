"""A proxy that passes requests on one by one, each not quite as it came."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from contextlib import suppress

# A request's first line and headers, to be changed in their place.
Slip = Callable[[list[str]], list[str]]


def dropping(*names: str) -> Slip:
    """Drop headers."""
    lower = tuple(f"{name.lower()}:" for name in names)
    return lambda lines: [line for line in lines if not line.lower().startswith(lower)]


def saying(line: str) -> Slip:
    """Put a header in the place of the one of its name."""
    drop = dropping(line.partition(":")[0])
    return lambda lines: [*drop(lines), line]


def as_http_1_0(lines: list[str]) -> list[str]:
    """Speak HTTP/1.0 to the server."""
    return [lines[0].replace("HTTP/1.1", "HTTP/1.0"), *lines[1:]]


class SlippingProxy:
    """Passes each request on over a connection of its own, changed by `slip`."""

    def __init__(self, port: int) -> None:
        self.slip: Slip = list
        self._target = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """Take no more connections."""
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._pass_on, args=(client,), daemon=True).start()

    def _pass_on(self, client: socket.socket) -> None:
        server = socket.create_connection(("127.0.0.1", self._target))
        with client, server, suppress(OSError):
            head = b""
            while b"\r\n\r\n" not in head:
                data = client.recv(65_536)
                if not data:
                    return
                head += data
            text, _, rest = head.partition(b"\r\n\r\n")
            lines = text.decode("latin-1").split("\r\n")
            if "upgrade" not in text.decode("latin-1").lower():
                lines = saying("Connection: close")(lines)
            lines = self.slip(lines)
            server.sendall("\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + rest)
            back = threading.Thread(target=self._copy, args=(client, server), daemon=True)
            back.start()
            self._copy(server, client)

    def _copy(self, source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65_536):
                target.sendall(data)
        with suppress(OSError):
            target.shutdown(socket.SHUT_WR)
