"""During maintenance everything can be read, nothing is changed, and nobody is lost."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import requests
from presence_client import Client

from local_cluster.live_server import LiveServer
from local_cluster.waiting import eventually
from presence.domain.values import clock
from presence.transport.wire.serializers import timestamp
from tests.support.commands import flask
from tests.support.keys import LOCKED, bearer, token

REST_SECONDS = 1.0


ADMIN = token("root", "*", "admin", ttl=6 * 3600)
AUTH = {"token": ADMIN}


@pytest.fixture
def maintained(new_server: Callable[..., LiveServer]) -> LiveServer:
    """A locked server whose peers of REST last for a second."""
    return new_server(**LOCKED | {"PRESENCE_REST_SESSION_SECONDS": REST_SECONDS})


def switch(server: LiveServer, to: str, *more: str) -> None:
    """Switch maintenance as an operator does, and wait until the server knows."""
    done = flask("maintenance", to, *more, **server.settings)
    assert done.returncode == 0, done.stderr
    eventually(lambda: is_on(server) == (to == "on"), f"maintenance is {to}")


def is_on(server: LiveServer) -> bool:
    return "presence_maintenance 1.0" in ask(server, "GET", "/metrics").text


def ask(server: LiveServer, method: str, path: str, **arguments: Any) -> requests.Response:
    """Ask a route as an admin."""
    return requests.request(
        method, server.url + path, headers=bearer(ADMIN), timeout=10, **arguments
    )


def who_is_here(server: LiveServer) -> set[str]:
    peers = ask(server, "GET", "/api/webrtc/rooms/r").json()["peers"]
    return {peer["peer_id"] for peer in peers if peer["is_active"]}


def enter(server: LiveServer, connect: Callable[..., Any], peer_id: str) -> Any:
    """Join the room over a socket."""
    client = connect(server, auth=AUTH)
    me = {"room_name": "r", "peer_id": peer_id, "username": peer_id}
    assert client.call("join_room", me)["ok"]
    return client


BOB = {"peer_id": "bob", "username": "Bob"}


def test_everything_can_be_read_and_nothing_changed(
    maintained: LiveServer, connect: Callable[..., Any]
) -> None:
    ada = enter(maintained, connect, "ada")
    assert ask(maintained, "POST", "/api/webrtc/rooms/r/join", json=BOB).ok
    form = {"room_name": "r", "peer_id": "ada"}
    file = {"file": ("a.txt", b"hello", "text/plain")}
    assert ask(maintained, "POST", "/api/webrtc/upload", data=form, files=file).ok
    stored = maintained.stored_files()
    began = timestamp(clock.now())
    switch(maintained, "on", "--note", "Back at 14:00.")
    assert f"since {began[:10]}" in flask("maintenance", **maintained.settings).stdout
    before = ask(maintained, "GET", "/api/webrtc/rooms/r").json()["version"]

    description = ask(maintained, "GET", "/api/openapi.json").json()
    tried = set()
    for path, methods in description["paths"].items():
        for method in methods:
            if method == "get" or "/tokens" in path or "/uploads" in path or "/leave" in path:
                continue
            if path.endswith(("/broadcast", "/signal")):  # what is said is not stored
                continue
            address = path.format(room_name="r", peer_id="bob", filename=Path(stored[0]).name)
            data = {"user_data": {}, "room_data": {"a": 1}}
            what: dict[str, Any] = {"json": BOB | {**data, "grants": ["list"]}}
            if path.endswith("/upload"):
                what = {"data": form, "files": file}
            if path.endswith("/batch"):  # each change in it is answered by itself
                continue
            answer = ask(maintained, method.upper(), address, **what)
            assert (answer.status_code, answer.json()["code"]) == (503, "maintenance"), path
            assert "Back at 14:00." in answer.json()["detail"]
            assert began <= answer.json()["since"] < timestamp(clock.now())
            assert int(answer.headers["Retry-After"]) > 0
            tried.add(path)
    assert len(tried) >= 8, tried
    change = {"path": "/api/webrtc/rooms/r/join", "body": BOB}
    batch = ask(maintained, "POST", "/api/webrtc/batch", json={"requests": [change]}).json()
    assert [one["status"] for one in batch["responses"]] == [503]
    assert batch["responses"][0]["body"]["code"] == "maintenance"
    assert ada.call("update_user_data", {"user_data": {"a": 1}})["code"] == "maintenance"
    assert ada.call("update_room_data", {"room_data": {"a": 1}})["code"] == "maintenance"
    new = {"room_name": "r", "peer_id": "new", "username": "N"}
    assert connect(maintained, auth=AUTH).call("join_room", new)["code"] == "maintenance"
    assert ada.call("signal", {"to": "ada", "type": "x", "data": 1})["ok"]

    assert ask(maintained, "GET", "/api/webrtc/rooms/r").json()["version"] == before
    assert maintained.stored_files() == stored
    page = requests.get(maintained.url, timeout=10).text
    assert "Back at 14:00." in page
    assert re.search(r"It began <time [^>]+>(just now|\d+ s ago)</time>", page)
    assert requests.get(f"{maintained.url}/readyz", timeout=10).ok
    switch(maintained, "off")
    assert ada.call("update_user_data", {"user_data": {"a": 1}})["ok"]
    assert "Traceback" not in maintained.log_text()


def test_who_goes_is_noted_and_who_came_over_rest_stays(
    maintained: LiveServer, connect: Callable[..., Any]
) -> None:
    ada, eve = enter(maintained, connect, "ada"), enter(maintained, connect, "eve")

    def come_again() -> None:
        while ask(maintained, "POST", "/api/webrtc/rooms/r/join", json=BOB).ok:
            time.sleep(REST_SECONDS / 5)

    coming = threading.Thread(target=come_again)
    coming.start()
    switch(maintained, "on")
    coming.join()
    until = time.monotonic() + 3 * REST_SECONDS
    assert ada.call("leave_room", {})["ok"]
    eve.kill()
    eventually(lambda: who_is_here(maintained) == {"bob"}, "those who went are shown so")
    while time.monotonic() < until:
        assert who_is_here(maintained) == {"bob"}
    switch(maintained, "off")
    eventually(lambda: not who_is_here(maintained), "who does not come again runs out as ever")


def test_a_client_waits_for_the_end(maintained: LiveServer) -> None:
    switch(maintained, "on")
    heard: list[str] = []
    with Client(maintained.url, token=ADMIN) as ada:
        ada.on("error", lambda error: heard.append(error.code))
        joining = threading.Thread(target=ada.join, args=("r",), kwargs={"timeout": 60})
        joining.start()
        eventually(lambda: "maintenance" in heard, "the client is told what it waits for")
        switch(maintained, "off")
        joining.join(60)
        assert ada.room_name == "r"
