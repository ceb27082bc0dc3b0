"""The stock clients, wrapped so that a test can say what it waits for.

`PythonClient` is python-socketio's own; `JavaScriptClient` runs the official one under Node. Both
offer the same few verbs, so that a test is written once and runs with either.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import socket
import subprocess
import threading
from collections.abc import Callable
from typing import Any, Protocol

import engineio
import socketio

from local_cluster.waiting import eventually
from tests.support import needs

Body = dict[str, Any]


class Client(Protocol):
    """What a test does with a client."""

    received: list[tuple[str, Any]]

    def emit(self, event: str, *args: Any) -> None: ...
    def call(self, event: str, *args: Any) -> Any: ...
    def disconnect(self) -> None: ...
    def kill(self) -> None: ...
    @property
    def connected(self) -> bool: ...


class _InOrder(engineio.Client):  # type: ignore[misc]
    """Engine.IO's client, but handling messages in their order: its own has a thread for each."""

    def _trigger_event(self, event: str, *args: Any, **kwargs: Any) -> Any:
        return super()._trigger_event(event, *args, **{**kwargs, "run_async": False})


class _SocketIo(socketio.Client):  # type: ignore[misc]
    def _engineio_client_class(self) -> type[engineio.Client]:
        return _InOrder


class PythonClient:
    """python-socketio's client."""

    def __init__(
        self, url: str, transports: list[str] | None = None, auth: Body | None = None
    ) -> None:
        self.received: list[tuple[str, Any]] = []
        # A poll that carries thousands of events takes longer to handle than the client's 5 s.
        self._sio = _SocketIo(reconnection=False, request_timeout=60)
        self._sio.on(
            "*", lambda event, *args: self.received.append((event, args[0] if args else None))
        )
        self._sio.connect(url, transports=transports, auth=auth, wait_timeout=10)

    def emit(self, event: str, *args: Any) -> None:
        """Send an event without asking for an acknowledgement."""
        self._sio.emit(event, *args)

    def call(self, event: str, *args: Any) -> Any:
        """Send an event and return its acknowledgement."""
        return self._sio.call(event, *args, timeout=60)

    def disconnect(self) -> None:
        """Close the connection in good order."""
        self._sio.disconnect()

    def kill(self) -> None:
        """Cut the connection without a word, as a crashed client would."""
        # The client's reader closes the rest when it wakes.
        self._sio.eio.ws.sock.shutdown(socket.SHUT_RDWR)

    @property
    def connected(self) -> bool:
        """Whether the client believes itself connected."""
        return bool(self._sio.connected)

    @property
    def sid(self) -> str:
        """The Socket.IO id that the server gave the connection."""
        return str(self._sio.get_sid())


class JavaScriptClient:
    """The official JavaScript client under Node, driven by lines of JSON (see socket.mjs).

    `within` is a command that runs another one somewhere else, such as in a network namespace.
    """

    def __init__(
        self,
        url: str,
        transports: list[str] | None = None,
        auth: Body | None = None,
        within: tuple[str, ...] = (),
    ) -> None:
        self.received: list[tuple[str, Any]] = []
        self.connected = False
        self.pings = 0
        self._answers: dict[int, Any] = {}
        self._ids = itertools.count(1)
        options: Body = {"transports": transports} if transports else {}
        if auth is not None:
            options["auth"] = auth
        self._node = subprocess.Popen(
            [*within, needs.node_with_socketio_client(), "socket.mjs", url, json.dumps(options)],
            cwd=needs.JAVASCRIPT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        threading.Thread(target=self._read, daemon=True).start()
        eventually(lambda: self.connected, "the JavaScript client connects")

    def emit(self, event: str, *args: Any) -> None:
        """Send an event without asking for an acknowledgement."""
        self._send({"emit": event, "args": args})

    def call(self, event: str, *args: Any) -> Any:
        """Send an event and return its acknowledgement."""
        number = next(self._ids)
        self._send({"emit": event, "args": args, "ack": number})
        eventually(lambda: number in self._answers, f"{event} is acknowledged", 60)
        return self._answers.pop(number)

    def disconnect(self) -> None:
        """Close the connection in good order and end Node."""
        if self._node.poll() is None:
            self._send({"disconnect": True})
            self._node.wait(10)
        self._close()

    def show(self, auth: Body) -> None:
        """Show this when connecting from now on."""
        self._send({"auth": auth})

    def drop(self) -> None:
        """Lose the connection, as a network would; the client makes another one."""
        self._send({"drop": True})

    def kill(self) -> None:
        """Kill Node, and the connection with it."""
        self._node.kill()
        self._node.wait()
        self._close()

    @property
    def pid(self) -> int:
        """The process that Node runs in."""
        return self._node.pid

    def _close(self) -> None:
        assert self._node.stdin
        with contextlib.suppress(BrokenPipeError):
            self._node.stdin.close()

    def _send(self, line: Body) -> None:
        assert self._node.stdin
        self._node.stdin.write(json.dumps(line) + "\n")
        self._node.stdin.flush()

    def _read(self) -> None:
        assert self._node.stdout
        for text in self._node.stdout:
            if not text.endswith("\n"):
                return  # it was killed in the middle of a line
            line = json.loads(text)
            if "event" in line:
                self.received.append((line["event"], line["data"]))
            elif "ack" in line:
                self._answers[line["ack"]] = line["data"]
            elif "ping" in line:
                self.pings += 1
            elif "connected" in line:
                self.connected = line["connected"]


KINDS: dict[str, Callable[..., Any]] = {"python": PythonClient, "javascript": JavaScriptClient}


def events(client: Client, name: str) -> list[Any]:
    """Return the bodies of every event of this name that a client has received."""
    return [body for event, body in list(client.received) if event == name]


def hears(
    client: Client,
    name: str,
    matching: Callable[[Body], bool] = lambda _body: True,
    seconds: float = 10,
) -> Body:
    """Return the first event of this name, received or still to come, that matches."""
    found = eventually(
        lambda: [body for body in events(client, name) if matching(body)],
        f"{name} as expected; so far {client.received[-3:]!r}",
        seconds,
    )
    return dict(found[0])


def shows(client: Client, peer_id: str, is_active: bool, seconds: float = 10) -> Body:
    """Return the peer once the newest list this client has received shows it in this state."""

    def newest() -> Body | None:
        lists = events(client, "peer_list_updated")
        for peer in lists[-1]["peers"] if lists else []:
            if (peer["peer_id"], peer["is_active"]) == (peer_id, is_active):
                return dict(peer)
        return None

    found = eventually(newest, f"{peer_id} is {'active' if is_active else 'inactive'}", seconds)
    assert found
    return found
