"""What a live server answers and sends is what the documents say, to the last key.

Every route and every event must occur here: whoever adds one adds a call to the story below.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Generator
from typing import Any

import pytest
import requests

from local_cluster.live_server import LiveServer
from local_cluster.waiting import eventually
from tests.support.clients import PythonClient, hears
from tests.support.paths import SAMPLES
from tests.support.strict import Body, Caller, check
from tests.support.tus import PIECE, metadata

ROOMS = "/api/webrtc/rooms"


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Generator[LiveServer]:
    server = LiveServer(
        tmp_path_factory.mktemp("bodies"),
        PRESENCE_MAX_PEERS=4,
        PRESENCE_HOLD_SECONDS=0.3,
        PRESENCE_STUN_URLS="stun:stun.example.org:3478",
        PRESENCE_TURN_URLS="turn:turn.example.org:3478",
        PRESENCE_TURN_SECRET="shared",
        PRESENCE_MAX_UPLOAD_BYTES=5000,
        PRESENCE_MAX_MESSAGE_BYTES=200_000,
        PRESENCE_EVENT_BURST=100,
        PRESENCE_KEEP_EVENTS="1d",
        PRESENCE_KEEP_BROADCASTS=10,
    ).start()
    yield server
    server.kill()


@pytest.fixture(scope="module")
def call(live: LiveServer) -> Caller:
    return Caller(live)


class Witness:
    """A client all of whose acknowledgements and received events are checked."""

    def __init__(self, live: LiveServer, document: Body) -> None:
        self._client = PythonClient(live.url)
        self._messages = document["components"]["messages"]
        self._document = document

    @property
    def client(self) -> PythonClient:
        return self._client

    def call(self, event: str, *args: Any) -> Body:
        """Send an event; check and return its acknowledgement."""
        answer: Body = self._client.call(event, *args)
        if event in self._messages:
            schema = self._messages[f"{event}_acknowledgement"]["payload"]
            check(answer, schema, self._document, f"the acknowledgement of {event}")
        return answer

    def check_received(self) -> set[str]:
        """Check every event received so far; return their names."""
        for name, body in list(self._client.received):
            if name == "made_up_error":  # the answer to an event that nobody described
                assert body["code"] == "unknown_event"
                continue
            message = self._messages.get(f"{name}_sent") or self._messages[name]
            check(body, message["payload"], self._document, name)
        return {name for name, _body in self._client.received}


@pytest.fixture(scope="module")
def described_events(live: LiveServer) -> Body:
    return dict(requests.get(f"{live.url}/api/asyncapi.json", timeout=10).json())


@pytest.fixture
def witness(live: LiveServer, described_events: Body) -> Generator[Callable[[], Witness]]:
    made: list[Witness] = []

    def make() -> Witness:
        made.append(Witness(live, described_events))
        return made[-1]

    yield make
    for one in made:
        one.client.disconnect()


def person(name: str, **more: Any) -> Body:
    return {"peer_id": name, "username": name.title(), "user_data": {"n": 1}, **more}


def form(peer: str, room: str = "studio") -> Body:
    return {"room_name": room, "peer_id": peer}


def test_every_answer_of_every_route_is_described(
    call: Caller, witness: Callable[[], Witness], live: LiveServer
) -> None:
    call("POST", f"{ROOMS}/studio/join", json=person("ada"))
    call("POST", f"{ROOMS}/studio/join", 422, json={"peer_id": "ada"})
    call("POST", f"{ROOMS}/studio/join", 400, data="{")
    call("POST", f"{ROOMS}/studio/join", 413, json=person("ada", user_data={"a": "x" * 20_000}))
    call("POST", f"{ROOMS}/studio/join", 413, data=b"x" * 300_000)
    for number in range(3):
        call("POST", f"{ROOMS}/studio/join", json=person(f"guest{number}"))
    call("POST", f"{ROOMS}/studio/join", 409, json=person("late"))

    call("PUT", f"{ROOMS}/made", 201, json={"max_peers": 2, "keep_inactive": 60})
    call("PUT", f"{ROOMS}/made", json={"max_peers": None})
    call("PUT", f"{ROOMS}/made", 422, json={"max_peers": 5})
    assert call("PUT", f"{ROOMS}/made", 403, json={"closed": True})["code"] == "open_mode"
    call("PUT", f"{ROOMS}/made", json={"password": "open sesame"})
    call("PUT", f"{ROOMS}/made", 403, json={"password": None})
    for wrong in ({}, {"password": "no"}):
        call("POST", f"{ROOMS}/made/join", 403, json=person("eve", **wrong))
    call("GET", f"{ROOMS}?prefix=ma&limit=1&active=false")
    requests.delete(f"{live.url}{ROOMS}/made", timeout=10).raise_for_status()

    path = f"{ROOMS}/studio/update-data?peer_id="
    version = call("POST", path + "ada", json={"user_data": {"hand": "raised"}})["version"]
    call("POST", path + "ada", json={"remove": ["hand"]})
    conflict = {"user_data": {"a": 1}, "if_version": version}
    assert call("POST", path + "ada", 409, json=conflict)["code"] == "conflict"
    call("POST", path + "nobody", 404, json={"user_data": {}})
    call("POST", f"{ROOMS}/studio/update-data", 422, json={"user_data": {}})

    path = f"{ROOMS}/studio/data"
    version = call("POST", f"{path}?peer_id=ada", json={"room_data": {"slide": 1}})["version"]
    call("POST", path, json={"room_data": {"slide": 2}})
    conflict = {"room_data": {"slide": 3}, "if_version": version}
    assert call("POST", path, 409, json=conflict)["room_data"] == {"slide": 2}
    call("POST", path, 413, json={"room_data": {"a": "x" * 20_000}})
    call("POST", path, 404, json={"room_data": {}, "peer_id": "nobody"})
    call("POST", path, 422, json={})
    call("GET", path)
    call("GET", f"{ROOMS}/nowhere/data", 404)

    def upload(status: int = 200, peer: str = "ada", name: str = "notes.txt", data: Any = b"hi"):  # type: ignore[no-untyped-def]
        files = {"file": (name, data)}
        return call("POST", "/api/webrtc/upload", status, data=form(peer), files=files)

    stored = upload()
    upload(404, peer="nobody")
    upload(415, name="notes.exe")
    upload(413, data=b"x" * 6000)
    assert call("POST", "/api/webrtc/upload", 422, data=form("ada"))["field"] == "file"
    for sample in SAMPLES.glob("*"):
        if sample.stat().st_size <= 5000 and sample.suffix not in (".odt",):
            upload(name=sample.name, data=sample.read_bytes())
    assert call("GET", stored["file_url"]) == "hi"
    call("GET", "/uploads/nothing.txt", 404)

    call("GET", ROOMS)
    call("GET", f"{ROOMS}/studio")
    call("GET", f"{ROOMS}/nowhere", 404)
    call("GET", f"{ROOMS}/.../activity", 404)
    call("GET", f"{ROOMS}/studio/peers/ada")
    call("GET", f"{ROOMS}/studio/peers/nobody", 404)
    call("DELETE", f"{ROOMS}/studio/files/{stored['filename']}")
    call("DELETE", f"{ROOMS}/studio/files/{stored['filename']}", 404)
    call("POST", f"{ROOMS}/studio/leave?peer_id=guest1")
    call("GET", f"{ROOMS}/studio/activity?limit=200")
    call("GET", f"{ROOMS}/studio/activity?limit=0", 422)
    call("GET", "/api/webrtc/ice-servers?room_name=studio&peer_id=ada")
    call("GET", "/api/webrtc/ice-servers?room_name=studio&peer_id=guest1", 409)
    call("GET", "/api/webrtc/ice-servers", 422)
    call("DELETE", f"{ROOMS}/studio/peers/ada")
    call("DELETE", f"{ROOMS}/studio/peers/ada", 404)
    happened = call("GET", "/api/webrtc/events?limit=1000&wait=5")
    for _ in range(50):
        if "peer_left" in {event["type"] for event in happened["events"]}:
            break
        happened = call("GET", f"/api/webrtc/events?wait=5&after={happened['cursor']}")
    call("GET", "/api/webrtc/events?after=latest&wait=0.1")
    call("GET", "/api/webrtc/events?after=yesterday", 422)
    call("GET", "/api/openapi.json")
    call("GET", "/api/asyncapi.json")
    call("GET", "/healthz")
    call("GET", "/readyz")
    assert "presence_rooms 1.0" in call("GET", "/metrics")
    openmetrics = {"Accept": "application/openmetrics-text; version=1.0.0"}
    assert call("GET", "/metrics", headers=openmetrics).endswith("# EOF\n")

    notice = {"event": "notice", "data": 1}
    call("POST", f"{ROOMS}/studio/broadcast", json=notice)
    call("POST", f"{ROOMS}/studio/broadcast", json={**notice, "to": ["guest0", "nobody"]})
    call("POST", f"{ROOMS}/nowhere/broadcast", 404, json=notice)
    call("POST", f"{ROOMS}/studio/peers/guest0/signal", 409, json={"data": 1})
    assert witness().call("join_room", {"room_name": "hall", **person("listener")})["ok"]
    call("POST", f"{ROOMS}/hall/peers/listener/signal", json={"type": "x", "data": 1})

    spoken = {"method": "POST", "path": f"{ROOMS}/studio/broadcast", "body": notice}
    nowhere = {**spoken, "path": f"{ROOMS}/nowhere/broadcast"}
    call("POST", "/api/webrtc/batch", json={"requests": [spoken, nowhere]})
    call("POST", "/api/webrtc/batch", 422, json={"requests": []})

    said = {"path": f"{ROOMS}/studio/broadcast", "body": notice}
    batch = {"requests": [said, {"path": f"{ROOMS}/nowhere/broadcast", "body": notice}]}
    key = {"Idempotency-Key": "a-batch"}
    for _ in range(2):
        call("POST", "/api/webrtc/batch", json=batch, headers=key)
    call("POST", "/api/webrtc/batch", 422, json={"requests": [said]}, headers=key)
    call("POST", "/api/webrtc/batch", 422, json={"requests": []})

    tus = {"Tus-Resumable": "1.0.0"}
    uploads = "/api/webrtc/uploads"
    told = metadata(filename="notes.txt", **form("guest0"))
    beginning = {**tus, "Upload-Length": "2", "Upload-Metadata": told}
    call("POST", uploads, 412, headers={**beginning, "Tus-Resumable": "0.2"})
    call("POST", uploads, 201, headers=beginning)
    unfinished = call.location
    call("GET", unfinished, 409)
    going_on = {**tus, "Upload-Offset": "0", "Content-Type": PIECE}
    call("PATCH", unfinished, 415, headers={**going_on, "Content-Type": "text/plain"}, data=b"hi")
    call("PATCH", unfinished, 409, headers={**going_on, "Upload-Offset": "1"}, data=b"i")
    call("PATCH", unfinished, 204, headers=going_on, data=b"hi")
    call("GET", unfinished)
    call("POST", unfinished, 405, headers=tus)
    call("POST", unfinished, 204, headers={**tus, "X-HTTP-Method-Override": "DELETE"})
    call("POST", uploads, 201, headers=beginning)
    given_up = call.location
    call("DELETE", given_up, 204, headers=tus)
    call("DELETE", given_up, 404, headers=tus)

    # The story of those that only a locked server answers is told in tests/access.
    answered = {(path, method) for path, method, status in call.seen if status in (200, 201, 204)}
    assert answered == {
        (path, method.upper())
        for path, item in call.document["paths"].items()
        for method, operation in item.items()
        if "access" not in operation["tags"]
    }


def test_every_event_and_acknowledgement_is_described(
    witness: Callable[[], Witness], call: Caller, described_events: Body, live: LiveServer
) -> None:
    ada, grace, guard = witness(), witness(), witness()
    assert ada.call("sync", {"since": 0})["code"] == "not_joined"
    assert guard.call("watch", {"room_name": "lab"})["ok"]
    assert ada.call("join_room", {"room_name": "lab"})["code"] == "invalid_field"
    assert ada.call("join_room", {"room_name": "lab", **person("ada")})["ok"]
    delta = {"updates": "delta", "states": True}
    assert grace.call("join", {"room_name": "lab", **person("grace", **delta)})["ok"]
    assert ada.call("state", {"state": {"cursor": [1, 2]}})["ok"]
    hears(grace.client, "states_changed")
    assert ada.call("state", {"state": None})["ok"]
    hears(grace.client, "states_changed", lambda body: body["states"][0]["state"] is None)
    assert ada.call("state", {"state": "typing"})["code"] == "invalid_field"
    assert ada.call("update_user_data", {"user_data": {"hand": "raised"}})["ok"]
    assert ada.call("update_user_data", {})["code"] == "invalid_field"
    assert ada.call("update_user_data", {"user_data": {}, "if_version": 0})["code"] == "conflict"
    assert ada.call("update_room_data", {"room_data": {"slide": 1}})["ok"]
    assert ada.call("update_room_data", {"remove": ["slide"], "if_version": 0})["room_data"]
    assert ada.call("update_room_data", {})["code"] == "invalid_field"
    hears(grace.client, "room_data_updated")
    hears(grace.client, "peer_updated", lambda body: "room_data" in body)
    assert grace.call("sync", {"since": 0})["full"]
    version = grace.call("sync", {"since": 0})["version"]
    assert not grace.call("sync", {"since": version})["full"]
    assert ada.call("made_up", {})["code"] == "unknown_event"

    signal = {"to": "grace", "type": "offer", "data": {"sdp": "v=0"}}
    assert ada.call("signal", signal)["status"] == "delivered"
    hears(grace.client, "signal")
    assert ada.call("signal", {**signal, "to": "nobody"})["code"] == "unknown_peer"
    assert ada.call("signal", {**signal, "data": "x" * 70_000})["code"] == "too_large"
    assert ada.call("signal", {"to": "grace"})["code"] == "invalid_field"
    assert ada.call("broadcast", {"event": "chat", "data": "hello"})["ok"]
    assert ada.call("broadcast", {"event": "chat"})["code"] == "invalid_field"
    hears(grace.client, "broadcast")
    number = ada.call("broadcast", {"event": "chat", "data": "hello", "keep": True})["id"]
    assert grace.call("sync", {"since_broadcast": number - 1})["broadcasts"]["complete"]
    assert grace.call("sync", {})["code"] == "invalid_field"
    call("POST", f"{ROOMS}/lab/broadcast", json={"event": "notice", "data": 2, "keep": True})
    call("POST", f"{ROOMS}/lab/broadcast", 422, json={"event": "e", "data": 2, "keep": 7})
    hears(grace.client, "broadcasts_caught_up")

    call("POST", f"{ROOMS}/lab/broadcast", json={"event": "notice", "data": 1})
    call("POST", f"{ROOMS}/lab/peers/grace/signal", json={"data": 1, "name": "Desk"})
    hears(grace.client, "broadcast", lambda body: body["event"] == "notice")
    hears(grace.client, "signal", lambda body: body["from"] is None)

    stored = call(
        "POST", "/api/webrtc/upload", data=form("ada", "lab"), files={"file": ("a.txt", b"hi")}
    )
    call("DELETE", f"{ROOMS}/lab/files/{stored['filename']}")
    hears(ada.client, "file_deleted")

    brief = witness()
    brief.call("join_room", {"room_name": "lab", **person("brief")})
    hears(grace.client, "peer_joined", lambda body: body["peers"][0]["peer_id"] == "brief")
    brief.client.kill()
    eventually(
        lambda: ada.call("signal", {**signal, "to": "brief"}).get("status") == "held",
        "a signal waits for who was just lost",
    )
    hears(ada.client, "signal_error", lambda body: body["code"] == "expired")
    hears(grace.client, "peer_left", lambda body: body["peers"][0]["peer_id"] == "brief")
    call("DELETE", f"{ROOMS}/lab/peers/brief")
    hears(grace.client, "peer_left", lambda body: body["peers"][0].get("erased") is True)

    for _ in range(150):
        ada.client.emit("broadcast", {"event": "chat", "data": "hurry"})
    hears(ada.client, "slow_down")

    assert guard.call("watch")["watching"] is None
    assert ada.call("leave_room", {})["ok"]
    assert ada.call("leave", {})["code"] == "not_joined"
    assert ada.call("watch", {"room_name": "a/b"})["code"] == "invalid_field"
    hears(guard.client, "rooms_changed")
    call("DELETE", f"{ROOMS}/lab/peers/grace")
    hears(grace.client, "leave_room_success", lambda body: body["reason"] == "erased")

    # Others have to be gone for the end, which closes every connection.
    live.stop()
    hears(guard.client, "server_shutdown")
    heard = set().union(*(one.check_received() for one in (ada, grace, guard, brief)))
    sent = {
        re.sub("^send_", "", name)
        for name, operation in described_events["operations"].items()
        if operation["action"] == "send"
    }
    # An open server has no tokens that could end, and no lobbies and rights: see tests/access.
    locked = {"token_expired", "token_revoked", "peer_waiting", "knocking", "grants_changed"}
    assert heard - {"made_up_error"} == sent - locked
