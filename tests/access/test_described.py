"""What a locked server answers is what its documents say, to the last key."""

from __future__ import annotations

import re
import time
from typing import Any

import requests

from local_cluster.live_server import LiveServer
from presence.domain.permissions import tokens
from tests.support.callers import ROOMS, admin, ask, join, joined
from tests.support.clients import PythonClient, hears
from tests.support.keys import KEYS, bearer, token
from tests.support.strict import Caller, check


def test_every_answer_of_an_admin_s_routes_is_described(locked: LiveServer, room: str) -> None:
    call = Caller(locked)
    headers = bearer(admin(room))
    path = f"{ROOMS}/{room}"

    def act(method: str, what: str, status: int = 200, **body: Any) -> Any:
        json = body if method == "POST" else None
        return call(method, f"{path}/{what}", status, headers=headers, json=json)

    call("POST", f"{path}/join", headers=headers, json=join(room, "ada"))
    call("POST", f"{path}/join", 401, json=join(room, "ada"))
    stranger = bearer(token("eve", room))
    call("POST", f"{path}/join", 403, headers=stranger, json=join(room, "ada"))
    act("POST", "peers/ada/kick")
    act("POST", "peers/nobody/kick", 404)
    act("POST", "peers/ada/ban", seconds=60, reason="Advertising")
    act("POST", "peers/ada/ban", 422, seconds=-1)
    assert act("POST", "join", 403, peer_id="ada", username="Ada")["code"] == "banned"
    act("GET", "bans")
    assert act("POST", "peers/ada/grants", grants=["listen"])["grants"] == ["join", "listen"]
    call("GET", path, headers=headers)
    act("POST", "peers/nobody/grants", 404, grants=None)
    act("POST", "peers/ada/grants", 422, grants=["admin"])
    act("POST", "peers/ada/unban")
    act("POST", "peers/ada/unban", 404)
    act("POST", "join", peer_id="ada", username="Ada")
    assert act("POST", "close")["put_out"] == ["ada"]
    act("GET", "bans")
    assert act("POST", "join", 409, peer_id="ada", username="Ada")["code"] == "room_closed"
    act("POST", "reopen")
    act("POST", "reopen", 404)
    call("PUT", path, headers=headers, json={"lobby": True})
    for name, status, wanted in (("zoe", 403, "refuse"), ("eve", 200, "admit")):
        guest, wish = bearer(token(name, room)), join(room, name)
        assert call("POST", f"{path}/join", 409, headers=guest, json=wish)["code"] == "waiting"
        call("GET", path, 403, headers=guest)
        act("GET", "knocking")
        act("POST", f"knocking/{name}/{wanted}")
        act("POST", f"knocking/{name}/{wanted}", 404)
        call("POST", f"{path}/join", status, headers=guest, json=wish)
    call("DELETE", path, headers=headers)
    call("DELETE", path, 404, headers=headers)
    wish = {"peer_id": "ada", "room": room, "grants": ["list"], "ttl": 60}
    call("POST", "/api/webrtc/tokens", headers=headers, json=wish)
    call("POST", "/api/webrtc/tokens", 403, headers=stranger, json=wish)
    call("POST", "/api/webrtc/tokens", 422, headers=headers, json={})
    revoke = "/api/webrtc/tokens/revoke"
    call("POST", revoke, headers=headers, json={"peer_id": "nobody", "seconds": 60})
    call("POST", revoke, headers=headers, json={"jti": "none", "room": room})
    call("POST", revoke, 403, headers=stranger, json={"peer_id": "nobody"})
    call("POST", revoke, 422, headers=headers, json={})
    call("GET", "/uploads/x.txt?signature=x", 403)

    answered = {(path, method) for path, method, status in call.seen if status == 200}
    assert {
        (path, method.upper())
        for path, item in call.document["paths"].items()
        for method, operation in item.items()
        if "access" in operation["tags"]
    } <= answered


def test_every_route_but_the_public_ones_says_that_it_takes_a_token(locked: LiveServer) -> None:
    document = requests.get(f"{locked.url}/api/openapi.json", timeout=10).json()
    public = {"/api/openapi.json", "/api/asyncapi.json", "/healthz", "/readyz", "/metrics"}
    for path, item in document["paths"].items():
        for operation in item.values():
            assert bool(operation.get("security")) == (path not in public), path
    (scheme,) = document["components"]["securitySchemes"].values()
    assert (scheme["type"], scheme["scheme"]) == ("http", "bearer")


def test_refused_events_and_the_end_of_a_token_are_described(locked: LiveServer, room: str) -> None:
    document = requests.get(f"{locked.url}/api/asyncapi.json", timeout=10).json()
    messages = document["components"]["messages"]
    client = joined(locked, "ada", room, ["join"], ttl=3)
    for event, message in {
        "join_room": join(f"{room}x", "ada"),
        "join": join(room, "bob"),
        "watch": {},
        "signal": {"to": "ada", "data": 1},
        "update_user_data": {"user_data": {}},
    }.items():
        answer = client.call(event, message)
        assert answer["code"] in ("not_granted", "wrong_peer")
        check(answer, messages[f"{event}_acknowledgement"]["payload"], document, event)
    hears(client, "token_expired")
    muted = joined(locked, "zoe", room, ["join", "signal"])
    regrant = f"{ROOMS}/{room}/peers/zoe/grants"
    assert ask(locked, "POST", regrant, admin(room), json={"grants": ["listen"]}).ok
    hears(muted, "grants_changed")
    client.received += muted.received
    assert ask(locked, "PUT", f"{ROOMS}/{room}", admin(room), json={"lobby": True}).ok
    host = joined(locked, "host", room, ["join", "admit"])
    guest = PythonClient(locked.url, ["websocket"], {"token": token("guest", room)})
    answer = guest.call("join_room", join(room, "guest"))
    check(answer, messages["join_room_acknowledgement"]["payload"], document, "join_room")
    hears(host, "peer_waiting")
    hears(host, "knocking")
    client.received += [*host.received, *guest.received]
    until = int(time.time()) + 60
    made = tokens.mint(KEYS, "bob", room, ["join"], expires_at=until, jti="one of a test")
    other = PythonClient(locked.url, ["websocket"], {"token": made})
    named = {"jti": "one of a test", "seconds": 60}
    assert ask(locked, "POST", "/api/webrtc/tokens/revoke", admin(room), json=named).ok
    client.received.append(("token_revoked", hears(other, "token_revoked")))
    for name, body in client.received:
        assert re.fullmatch(r"\w+", name)
        check(body, messages[name]["payload"], document, name)
