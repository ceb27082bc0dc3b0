"""Connections of Socket.IO: how they begin, and what they may carry."""

from __future__ import annotations

from presence.errors.base import PresenceError


class TransportRefused(PresenceError):
    """A request to Socket.IO's path names no transport that it can be served over."""

    code = "transport_refused"

    def __init__(self, transport: str | None) -> None:
        asked = f"“{transport[:40]}”" if transport else "none (transport)"
        super().__init__(
            f"Socket.IO is served over polling, by GET and POST, and over websocket; the request "
            f"asks for {asked}."
        )


class ProtocolRefused(PresenceError):
    """A client speaks another version of Engine.IO, or does not say which."""

    code = "protocol_refused"

    def __init__(self, named: str | None) -> None:
        asked = f"version “{named[:40]}”" if named else "no version (EIO)"
        super().__init__(
            f"This server speaks version 4 of the Engine.IO protocol, and the request names "
            f"{asked}: use socket.io-client 3 or newer, or python-socketio 5 or newer."
        )


class NoWebSocketHere(PresenceError):
    """A request for a WebSocket is for an address that has none."""

    code = "no_websocket"

    def __init__(self) -> None:
        super().__init__(
            "There is no WebSocket at this address. Clients of Socket.IO find it by the server's "
            "address alone; it is at /socket.io/?EIO=4&transport=websocket."
        )


class SessionUnknown(PresenceError):
    """A request is for a connection that has ended, or is not this process's."""

    code = "session_unknown"

    def __init__(self, fault: str = "There is no such connection any more") -> None:
        super().__init__(
            f"{fault}. Connect again; where that happens all the time, a proxy does not bring all "
            "requests of a connection to the same process."
        )


class SessionElsewhere(PresenceError):
    """A request is for a connection that another process holds, by the worker's name in its id."""

    code = "session_elsewhere"

    def __init__(self, holder: str, here: str) -> None:
        super().__init__(
            f"This connection is the worker {holder}'s, and the request came to the worker {here}. "
            f"Unless {holder} has just ended, the proxy has to bring every request of a connection "
            "to the worker that its id (sid) begins with, as the files in deploy/ do. Until it "
            "does, only clients that begin with WebSocket can connect."
        )


class SessionUpgraded(PresenceError):
    """A request is for a connection that goes over its WebSocket."""

    code = "session_upgraded"

    def __init__(self) -> None:
        super().__init__("This connection goes over a WebSocket already, and over one only.")


class RequestsOverlap(PresenceError):
    """Two polls, or two POSTs, of one connection came at once, which is closed for it."""

    code = "requests_overlap"

    def __init__(self) -> None:
        super().__init__(
            "This connection had a request of the same kind under way, so the order of what it "
            "carries is lost. It was closed: connect again, and send one request after the other."
        )


class PacketsUnreadable(PresenceError):
    """The body of a polling client's POST is no row of Engine.IO packets."""

    code = "packets_unreadable"

    def __init__(self, fault: str) -> None:
        super().__init__(f"The body holds no Engine.IO packets: {fault}. The connection is closed.")


class NamespaceUnknown(PresenceError):
    """A client connects to, or sends an event in, a Socket.IO namespace that does not exist."""

    code = "namespace_unknown"

    def __init__(self, namespace: str) -> None:
        super().__init__(
            f"There is no namespace “{namespace[:60]}” here, only “/”: connect to the server's "
            "address without a path behind it."
        )


class NotConnected(PresenceError):
    """An event came over a connection on which no socket is connected."""

    code = "not_connected"

    def __init__(self) -> None:
        super().__init__("No socket is connected here: send Socket.IO's CONNECT packet first.")


class AlreadyConnected(PresenceError):
    """A second CONNECT packet came over a connection on which a socket is connected."""

    code = "already_connected"

    def __init__(self) -> None:
        super().__init__("A socket is connected here already, and goes on as before.")


class UpgradeIncomplete(PresenceError):
    """A request for a WebSocket lacks headers that make it one; ``missing`` lists them."""

    code = "upgrade_incomplete"
    missing: list[str]

    def __init__(self, missing: tuple[str, ...], hint: str = "") -> None:
        lacking = "”, “".join(missing)
        super().__init__(
            f"This is no request for a WebSocket: it lacks “{lacking}”{hint and f', and {hint}'}. "
            "A proxy on the way drops what it is not told to pass on; until it is, the connection "
            "goes on by polling.",
            missing=list(missing),
        )


class UpgradeRefused(PresenceError):
    """A request for a WebSocket is not as it must be."""

    code = "upgrade_refused"

    def __init__(self, fault: str) -> None:
        super().__init__(f"The request for a WebSocket cannot be granted: {fault}.")
