"""A server that sends every WebSocket message back: our frames and streams, and nothing else.

Run as a program it prints its address and serves until its input ends.
"""

from __future__ import annotations

import socket
import sys
import warnings
from typing import Any

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import eventlet
    import eventlet.tpool

eventlet.monkey_patch()

from presence.transport.engine.connections import limit_kernel_buffer  # noqa: E402
from presence.transport.websocket import protocol  # noqa: E402
from presence.transport.websocket.streams import Stream  # noqa: E402
from presence.transport.websocket.turns import Turns  # noqa: E402

# More than the longest message of the cases.
_MAX_BYTES = 20 * 1024 * 1024
_COMPRESS_FROM = 1


class Echo:
    """Sends back what comes over a stream."""

    def __init__(self, *, compress: bool) -> None:
        self._compress = compress
        self.stream: Any = None

    def on_message(self, message: str | bytes) -> None:
        opcode = protocol.TEXT if isinstance(message, str) else protocol.BINARY
        payload = message.encode() if isinstance(message, str) else message
        compress = self._compress and len(payload) >= _COMPRESS_FROM
        self.stream.put(protocol.frame(payload, opcode, compress=compress))

    def on_progress(self) -> None:
        pass

    def on_end(self) -> None:
        pass


def serve(turns: Turns, sock: Any) -> None:
    """Answer the request for a WebSocket, and let the hub serve it."""
    head = b""
    while b"\r\n\r\n" not in head:
        chunk = sock.recv(65_536)
        if not chunk:
            return
        head += chunk
    request, _, early = head.partition(b"\r\n\r\n")
    environ = {"REQUEST_METHOD": "GET", "SERVER_PROTOCOL": "HTTP/1.1"}
    for line in request.decode("latin-1").split("\r\n")[1:]:
        name, _, value = line.partition(":")
        environ["HTTP_" + name.strip().upper().replace("-", "_")] = value.strip()
    answer, compress = protocol.handshake(environ, compression=True)
    reader = protocol.Reader(_MAX_BYTES, compression=compress)
    reader.feed(early)
    echo = Echo(compress=compress)
    echo.stream = Stream(turns, sock.fd.dup(), reader, echo)
    limit_kernel_buffer(echo.stream.socket)
    echo.stream.put(answer)
    echo.stream.go_on()


def main() -> None:
    """Serve on a free port."""
    listener = eventlet.listen(("127.0.0.1", 0))
    # As the server's sockets have it: else long answers wait for receipts, 40 ms for each.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    turns = Turns()
    print(listener.getsockname()[1], flush=True)

    def accept() -> None:
        while True:
            sock, _ = listener.accept()
            eventlet.spawn_n(serve, turns, sock)

    eventlet.spawn_n(accept)
    eventlet.tpool.execute(sys.stdin.read)


if __name__ == "__main__":
    main()
