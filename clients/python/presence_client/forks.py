"""What a fork leaves in the child process: connections there are the parent's, and stay so.

The child's copies of clients that had begun are closed, without a word to the server, and its
copies of their sockets are let go. Otherwise it would hold the parent's connections open, or cut
them.
"""

from __future__ import annotations

import os
import socket
from typing import Any, Protocol
from weakref import WeakSet

import aiohttp


class Forked(Protocol):
    """A client that can be in a child process."""

    def forked(self) -> None:
        """Hear, in the child, that it is there."""


_clients: WeakSet[Any] = WeakSet()
_sockets: WeakSet[socket.socket] = WeakSet()
# In a child: what must not be collected there, since that would end things of the parent's.
_of_the_parent: list[Any] = []


def remember(client: Forked) -> None:
    """Tell a client when it finds itself in a child process."""
    _clients.add(client)


def session(**options: Any) -> aiohttp.ClientSession:
    """Return an HTTP session whose sockets a child process lets go of.

    Proxies are used as the environment names them, like everybody else's HTTP does.
    """
    connector = aiohttp.TCPConnector(socket_factory=_socket)
    return aiohttp.ClientSession(connector=connector, trust_env=True, **options)


def _socket(address: Any) -> socket.socket:
    family, kind, protocol, *_ = address
    made = socket.socket(family, kind, protocol)
    _sockets.add(made)
    return made


def _in_child() -> None:
    _of_the_parent.extend(_clients)
    for client in _of_the_parent:
        client.forked()
    nowhere = os.open(os.devnull, os.O_RDWR)
    for one in list(_sockets):
        # Closing would leave its number to another file, which the socket's end would close.
        if one.fileno() >= 0:
            os.dup2(nowhere, one.fileno(), inheritable=False)
    os.close(nowhere)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_child)
