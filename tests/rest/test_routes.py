"""The REST routes, by plain HTTP against a live server."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import pytest
import requests

from local_cluster.live_server import LiveServer
from local_cluster.waiting import eventually
from tests.support.clients import hears, shows
from tests.support.rest import Rest, refusal


@pytest.fixture
def rest(server: LiveServer) -> Rest:
    return Rest(server)


@pytest.mark.cluster
def test_joining_answers_with_the_room_and_success(rest: Rest, room: str) -> None:
    response = rest.post(
        f"/rooms/{quote(room)}/join",
        {
            "room_name": room,
            "peer_id": "test-user",
            "username": "Test User",
            "user_data": {"role": "tester", "preferences": {"theme": "dark"}},
        },
    )
    assert response.status_code == 200
    body = response.json()
    assert body["success"] is True
    assert (body["room_name"], body["peer_id"]) == (room, "test-user")
    assert (body["active_peers"], body["total_peers"]) == (1, 1)
    assert body["peers"][0]["user_data"]["preferences"] == {"theme": "dark"}


def test_a_room_has_exactly_the_keys_of_the_contract_and_a_version(rest: Rest, room: str) -> None:
    rest.join(room, "alice", role="moderator")
    body = rest.get(f"/rooms/{quote(room)}").json()
    assert set(body) == {
        "name",
        "active_peer_count",
        "total_peer_count",
        "max_peers",
        "created_at",
        "peers",
        "version",
    }
    assert set(body["peers"][0]) == {
        "peer_id",
        "username",
        "joined_at",
        "is_active",
        "last_seen",
        "user_data",
        "uploaded_files",
        "session_count",
        "reason",
    }
    assert (body["active_peer_count"], body["total_peer_count"], body["max_peers"]) == (1, 1, 100)
    for instant in (
        body["created_at"],
        body["peers"][0]["joined_at"],
        body["peers"][0]["last_seen"],
    ):
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", instant)
    assert rest.get("/rooms").json()[room] == body


@pytest.mark.parametrize("path", ["", "/{room}"])
def test_who_has_a_list_already_is_told_so_until_it_changes(
    server: LiveServer, room: str, path: str
) -> None:
    url = f"{server.url}/api/webrtc/rooms"
    requests.post(f"{url}/{room}/join", json={"peer_id": "a", "username": "A"}, timeout=10)
    listed = url + path.format(room=room)

    def unchanged() -> requests.Response | None:
        # Another test's peer may become inactive in between.
        tag = requests.get(listed, timeout=10).headers["ETag"]
        answer = requests.get(listed, headers={"If-None-Match": tag}, timeout=10)
        return answer if answer.status_code == 304 else None

    answer = eventually(unchanged, "the list is known")
    assert answer is not None
    assert answer.content == b""
    assert answer.headers["Cache-Control"] == "no-cache"
    for method, change, body in (
        ("post", f"{url}/{room}/update-data?peer_id=a", {"user_data": {"x": 1}}),
        ("delete", f"{url}/{room}/peers/a", None),
    ):
        tag = requests.get(listed, timeout=10).headers["ETag"]
        assert requests.request(method, change, json=body, timeout=10).ok
        again = requests.get(listed, headers={"If-None-Match": tag}, timeout=10)
        assert again.status_code == 200
        assert again.headers["ETag"] != tag


@pytest.mark.cluster
def test_updating_merges_replaces_and_removes(rest: Rest, room: str) -> None:
    rest.join(room, "alice", a=1, b={"c": 2})
    path = f"/rooms/{quote(room)}/update-data?peer_id=alice"
    body = rest.post(path, {"user_data": {"b": None, "d": [3]}}).json()
    assert body["success"] is True
    assert body["user_data"] == {"a": 1, "b": None, "d": [3]}
    assert (body["room_name"], body["peer_id"]) == (room, "alice")
    assert rest.post(path, {"remove": ["a"]}).json()["user_data"] == {"b": None, "d": [3]}
    assert rest.post(path, {"user_data": {}, "replace": True}).json()["user_data"] == {}
    assert rest.peer(room, "alice")["user_data"] == {}


def test_a_rest_peer_is_seen_by_sockets_and_told_apart_from_nobody(
    rest: Rest, room: str, server: LiveServer, connect: Callable[..., Any]
) -> None:
    bob = connect(server)
    bob.call("join_room", {"room_name": room, "peer_id": "bob", "username": "Bob"})
    rest.join(room, "alice")
    shows(bob, "alice", is_active=True)
    rest.post(f"/rooms/{quote(room)}/update-data?peer_id=alice", {"user_data": {"x": 1}})
    assert hears(bob, "user_data_updated")["changed"] == ["x"]
    left = rest.post(f"/rooms/{quote(room)}/leave?peer_id=alice").json()
    assert (left["success"], left["is_active"]) == (True, False)
    shows(bob, "alice", is_active=False)


def test_leaving_twice_is_no_error(rest: Rest, room: str) -> None:
    rest.join(room, "alice")
    first = rest.post(f"/rooms/{quote(room)}/leave?peer_id=alice").json()
    again = rest.post(f"/rooms/{quote(room)}/leave?peer_id=alice")
    assert again.status_code == 200
    assert again.json()["version"] == first["version"]


@pytest.mark.cluster
def test_leaving_over_rest_takes_the_sockets_of_the_peer_out_too(
    rest: Rest, room: str, server: LiveServer, connect: Callable[..., Any]
) -> None:
    bob = connect(server)
    bob.call("join_room", {"room_name": room, "peer_id": "bob", "username": "Bob"})
    assert rest.post(f"/rooms/{quote(room)}/leave?peer_id=bob").json()["is_active"] is False
    assert hears(bob, "leave_room_success")["reason"] == "left_over_rest"
    assert bob.call("update_user_data", {"user_data": {}})["code"] == "not_joined"


def test_a_socket_that_leaves_takes_an_earlier_rest_join_with_it(
    rest: Rest, room: str, server: LiveServer, connect: Callable[..., Any]
) -> None:
    rest.join(room, "bob")
    bob = connect(server)
    bob.call("join_room", {"room_name": room, "peer_id": "bob", "username": "Bob"})
    assert bob.call("leave_room")["is_active"] is False


def test_a_rest_peer_becomes_inactive_when_it_falls_silent_and_not_before(
    new_server: Callable[..., LiveServer], connect: Callable[..., Any]
) -> None:
    server = new_server(PRESENCE_REST_SESSION_SECONDS=2)
    rest = Rest(server)
    bob = connect(server)
    bob.call("join_room", {"room_name": "r", "peer_id": "bob", "username": "Bob"})
    rest.join("r", "alice")
    shows(bob, "alice", is_active=True)
    for number in range(8):  # renewing for longer than a session lasts
        rest.post("/rooms/r/update-data?peer_id=alice", {"user_data": {"n": number}})
        eventually(
            lambda number=number: shows(bob, "alice", True)["user_data"] == {"n": number},  # type: ignore[misc]
            "still active",
            interval=0.3,
        )
    shows(bob, "alice", is_active=False, seconds=5)


@pytest.mark.cluster
def test_erasing_a_peer_removes_its_data_files_and_presence(
    rest: Rest, room: str, server: LiveServer, connect: Callable[..., Any]
) -> None:
    bob, alice = connect(server), connect(server)
    bob.call("join_room", {"room_name": room, "peer_id": "bob", "username": "Bob"})
    alice.call("join_room", {"room_name": room, "peer_id": "alice", "username": "Alice"})
    upload = requests.post(
        f"{rest.base}/upload",
        files={"file": ("a.txt", b"text")},
        data={"room_name": room, "peer_id": "alice"},
        timeout=10,
    ).json()
    shows(bob, "alice", is_active=True)
    erased = rest.delete(f"/rooms/{quote(room)}/peers/alice").json()
    assert (erased["success"], erased["files_deleted"]) == (True, 1)
    assert hears(alice, "leave_room_success")["reason"] == "erased"
    hears(bob, "peer_list_updated", lambda body: body["version"] >= erased["version"])
    assert [peer["peer_id"] for peer in rest.get(f"/rooms/{quote(room)}").json()["peers"]] == [
        "bob"
    ]
    assert refusal(rest.get(f"/rooms/{quote(room)}/peers/alice")) == (404, "peer_not_found")
    assert requests.get(server.url + upload["file_url"], timeout=10).status_code == 404
    assert upload["filename"] not in "".join(server.stored_files())


@pytest.mark.parametrize(
    "name", ["a room", "café", "日本語", "🎉 party", "?#%&=+;'\"<b>", "العربية", "x" * 128]
)
@pytest.mark.cluster
def test_names_of_any_script_work_in_every_route(rest: Rest, server: LiveServer, name: str) -> None:
    path = f"/rooms/{quote(name, safe='')}"
    username = name[:64]
    joined = rest.post(f"{path}/join", {"peer_id": name, "username": username, "user_data": {}})
    assert joined.json()["room_name"] == name
    updated = requests.post(
        f"{rest.base}{path}/update-data",
        params={"peer_id": name},
        json={"user_data": {name: name}},
        timeout=10,
    )
    assert updated.json()["user_data"] == {name: name}
    assert rest.get(f"{path}/peers/{quote(name, safe='')}").json()["username"] == username
    assert rest.get("/rooms").json()[name]["name"] == name


def test_a_name_in_another_normal_form_is_the_same_name(rest: Rest, room: str) -> None:
    rest.join(f"{room} é", "é")  # composed
    assert rest.peer(f"{room} é", "é")["peer_id"] == "é"  # decomposed


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/rooms/nowhere", 404, "room_not_found"),
        ("GET", "/rooms/nowhere/peers/x", 404, "room_not_found"),
        ("POST", "/rooms/nowhere/update-data?peer_id=x", 404, "room_not_found"),
        ("POST", "/rooms/nowhere/leave?peer_id=x", 404, "room_not_found"),
        ("DELETE", "/rooms/nowhere/peers/x", 404, "room_not_found"),
        ("DELETE", "/rooms/nowhere/files/x.txt", 404, "room_not_found"),
        ("POST", "/rooms/somewhere/update-data?peer_id=x", 404, "peer_not_found"),
        ("POST", "/rooms/somewhere/leave?peer_id=x", 404, "peer_not_found"),
        ("DELETE", "/rooms/somewhere/peers/x", 404, "peer_not_found"),
        ("DELETE", "/rooms/somewhere/files/x.txt", 404, "file_not_found"),
        ("POST", "/rooms/somewhere/update-data", 422, "invalid_field"),
        ("POST", "/rooms/somewhere/leave", 422, "invalid_field"),
        ("GET", "/rooms/%2E%2E", 422, "invalid_field"),
        ("GET", "/nothing/here", 404, "not_found"),
        ("PUT", "/rooms", 405, "method_not_allowed"),
        ("GET", "/upload", 405, "method_not_allowed"),
        ("PATCH", "/rooms/x/join", 405, "method_not_allowed"),
    ],
)
def test_what_is_unknown_or_incomplete_is_answered(
    rest: Rest, method: str, path: str, status: int, code: str
) -> None:
    rest.join("somewhere", "somebody")
    # By hand, because requests resolves dots in an address.
    prepared = requests.Request(
        method, rest.base + path, json={"user_data": {}} if method == "POST" else None
    ).prepare()
    prepared.url = rest.base + path
    response = requests.Session().send(prepared, timeout=10)
    assert refusal(response) == (status, code)
    assert (status == 405) == ("Allow" in response.headers)


def test_a_trailing_slash_does_not_matter(rest: Rest) -> None:
    assert refusal(rest.get("/rooms/x/")) == (404, "room_not_found")


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"", 422, "invalid_field"),
        (b"{", 400, "invalid_json"),
        (b"[]", 400, "invalid_json"),
        (b'"text"', 400, "invalid_json"),
        (b"null", 400, "invalid_json"),
        (b"\xff\xfe", 400, "invalid_json"),
        (b'{"peer_id": 5, "username": "x"}', 422, "invalid_field"),
        (b'{"username": "x"}', 422, "invalid_field"),
        (b'{"peer_id": "x"}', 422, "invalid_field"),
        (b'{"peer_id": "x", "username": "x", "user_data": []}', 422, "invalid_field"),
        (b'{"peer_id": "x", "username": "x", "user_data": {"a": NaN}}', 422, "invalid_field"),
        (
            b'{"peer_id": "x", "username": "x", "a": [' + b"0," * 99_000 + b"NaN]}",
            400,
            "invalid_json",
        ),
        (b'{"peer_id": "x", "username": "x", "room_name": "other"}', 422, "invalid_field"),
        (b"[" * 100_000, 400, "invalid_json"),
        (
            b'{"peer_id": "x", "username": "x", "a": [' + b"[]," * 150_000 + b"0]}",
            400,
            "invalid_json",
        ),
        (b'{"peer_id": "' + b"x" * 1_100_000 + b'"}', 413, "message_too_large"),
    ],
)
def test_a_body_that_cannot_be_used_is_answered(
    rest: Rest, room: str, body: bytes, status: int, code: str
) -> None:
    response = requests.post(f"{rest.base}/rooms/{quote(room)}/join", data=body, timeout=20)
    assert refusal(response) == (status, code)
    assert rest.get(f"/rooms/{quote(room)}").status_code == 404, "a refused join makes no room"


def test_json_is_read_whatever_its_content_type_says(rest: Rest, room: str) -> None:
    response = requests.post(
        f"{rest.base}/rooms/{quote(room)}/join",
        data='{"peer_id": "x", "username": "x"}',
        headers={"Content-Type": "application/x-www-form-urlencoded"},
        timeout=10,
    )
    assert response.status_code == 200


def test_any_origin_may_use_the_api_by_default(rest: Rest, server: LiveServer) -> None:
    origin = {"Origin": "https://app.example"}
    preflight = {**origin, "Access-Control-Request-Method": "POST"}
    answer = requests.options(f"{rest.base}/rooms/x/join", headers=preflight, timeout=10)
    assert answer.headers["Access-Control-Allow-Origin"] in {"*", "https://app.example"}
    socket = requests.get(
        f"{server.url}/socket.io/?EIO=4&transport=polling", headers=origin, timeout=10
    )
    assert socket.headers["Access-Control-Allow-Origin"] in {"*", "https://app.example"}
    for response in (answer, socket):
        assert "Access-Control-Allow-Credentials" not in response.headers


def test_one_setting_limits_the_origins_of_api_and_sockets(
    new_server: Callable[..., LiveServer],
) -> None:
    server = new_server(PRESENCE_ALLOWED_ORIGINS="https://app.example, https://two.example")
    for origin, allowed in (("https://two.example", True), ("https://evil.example", False)):
        api = requests.get(f"{server.url}/api/webrtc/rooms", headers={"Origin": origin}, timeout=10)
        assert (api.headers.get("Access-Control-Allow-Origin") == origin) == allowed
        socket = requests.get(
            f"{server.url}/socket.io/?EIO=4&transport=polling",
            headers={"Origin": origin},
            timeout=10,
        )
        assert (socket.status_code == 200) == allowed
