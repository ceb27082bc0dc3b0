"""Calls and connections with tokens, in the words of the tests."""

from __future__ import annotations

from typing import Any

import requests
import socketio

from local_cluster.live_server import LiveServer
from tests.support.clients import Body, PythonClient
from tests.support.keys import EVERYTHING, bearer, token

ROOMS = "/api/webrtc/rooms"


def ask(
    server: LiveServer, method: str, path: str, made: str | None = None, **options: Any
) -> requests.Response:
    """Make a request with a token, or with none."""
    headers = {**(bearer(made) if made else {}), **options.pop("headers", {})}
    return requests.request(method, server.url + path, headers=headers, timeout=20, **options)


def admin(room: str) -> str:
    """Return the token of an admin of one room."""
    return token("root", room, "admin")


def upload(server: LiveServer, made: str, room: str, peer_id: str) -> Body:
    """Upload a file for a peer; return what the server made of it."""
    answer = ask(
        server,
        "POST",
        "/api/webrtc/upload",
        made,
        data={"room_name": room, "peer_id": peer_id},
        files={"file": ("notes.txt", b"some words")},
    )
    assert answer.ok, answer.text
    return dict(answer.json())


def joined(
    server: LiveServer, peer_id: str, room: str, grants: Any = EVERYTHING, ttl: float = 600
) -> PythonClient:
    """Connect a stock client as a peer and let it join a room."""
    client = PythonClient(
        server.url, ["websocket"], {"token": token(peer_id, room, grants, ttl=ttl)}
    )
    answer = client.call("join_room", join(room, peer_id))
    assert answer["ok"], answer
    return client


def join(room: str, peer_id: str) -> Body:
    """Return the message that joins a room."""
    return {"room_name": room, "peer_id": peer_id, "username": peer_id.title()}


def refusal(server: LiveServer, auth: Any) -> Body:
    """Try to connect, and return what the server says about why not."""
    told: list[Any] = []
    client = socketio.Client(reconnection=False)
    client.on("connect_error", told.append)
    try:
        client.connect(server.url, auth=auth, transports=["websocket"], wait_timeout=10)
    except socketio.exceptions.ConnectionError:
        return dict(told[0])
    finally:
        client.disconnect()
    raise AssertionError("the connection was let in")
