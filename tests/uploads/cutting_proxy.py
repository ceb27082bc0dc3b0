"""A proxy on this machine that cuts connections in the middle, as a telephone's network does."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress


class CuttingProxy:
    """Passes connections on to a port; cuts the first `cuts` that send more than `after` bytes."""

    def __init__(self, port: int, cuts: int, after: int) -> None:
        self.cut = 0
        self._target = port
        self._cuts = cuts
        self._after = after
        self._guard = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(("127.0.0.1", self._target))
                threading.Thread(target=self._upwards, args=(client, server), daemon=True).start()
                threading.Thread(target=self._downwards, args=(server, client), daemon=True).start()

    def _upwards(self, client: socket.socket, server: socket.socket) -> None:
        passed = 0
        with suppress(OSError):
            while data := client.recv(16 * 1024):
                server.sendall(data)
                passed += len(data)
                if passed > self._after and self._may_cut():
                    break
        for side in (client, server):
            with suppress(OSError):
                side.shutdown(socket.SHUT_RDWR)
            side.close()

    def _downwards(self, server: socket.socket, client: socket.socket) -> None:
        with suppress(OSError):
            while data := server.recv(16 * 1024):
                client.sendall(data)

    def _may_cut(self) -> bool:
        with self._guard:
            if self.cut >= self._cuts:
                return False
            self.cut += 1
            return True
