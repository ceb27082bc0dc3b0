"""What an admin does to others: kicks, bans, closed rooms, and what stock clients see of them."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import requests

from local_cluster.live_server import LiveServer
from local_cluster.waiting import eventually
from tests.support.callers import ROOMS, admin, ask, join, joined, upload
from tests.support.clients import KINDS, Client, events, hears, shows
from tests.support.keys import LOCKED, token


def act(server: LiveServer, room: str, path: str, **body: object) -> requests.Response:
    """Make a call as the room's admin."""
    return ask(server, "POST", f"{ROOMS}/{room}/{path}", admin(room), json=body)


def over_rest(server: LiveServer, room: str, peer_id: str) -> requests.Response:
    """Join over REST with a good token of one's own."""
    return ask(
        server, "POST", f"{ROOMS}/{room}/join", token(peer_id, room), json=join(room, peer_id)
    )


@pytest.mark.parametrize("kind", ["python", "javascript"])
def test_who_is_kicked_is_told_and_may_come_back(locked: LiveServer, room: str, kind: str) -> None:
    watcher = joined(locked, "bob", room)
    client = KINDS[kind](locked.url, None, {"token": token("ada", room)})
    assert client.call("join_room", join(room, "ada"))["ok"]
    answer = act(locked, room, "peers/ada/kick").json()
    assert (answer["reason"], answer["is_active"]) == ("kicked", False)
    assert hears(client, "leave_room_success")["reason"] == "kicked"
    shows(watcher, "ada", is_active=False)
    assert client.call("signal", {"to": "bob", "data": 1})["code"] == "not_joined"
    assert client.call("join_room", join(room, "ada"))["ok"]
    shows(watcher, "ada", is_active=True)
    client.disconnect()
    watcher.disconnect()


def test_kicking_who_is_not_there_changes_nothing(locked: LiveServer, room: str) -> None:
    assert over_rest(locked, room, "ada").ok
    assert act(locked, room, "peers/nobody/kick").json()["code"] == "peer_not_found"
    assert act(locked, f"{room}-none", "peers/ada/kick").json()["code"] == "room_not_found"
    first = act(locked, room, "peers/ada/kick").json()
    assert act(locked, room, "peers/ada/kick").json()["version"] == first["version"]


def test_who_is_banned_can_neither_join_nor_act_nor_read(locked: LiveServer, room: str) -> None:
    client = joined(locked, "ada", room)
    banned = act(locked, room, "peers/ada/ban", seconds=600, reason="Advertising").json()
    assert banned["until"] > banned["made_at"]
    assert hears(client, "leave_room_success")["reason"] == "banned"
    refused = client.call("join_room", join(room, "ada"))
    assert (refused["code"], refused["reason"]) == ("banned", "Advertising")
    assert "until 2" in refused["detail"]
    assert client.call("watch", {"room_name": room})["code"] == "banned"

    own = token("ada", room)
    data = {"user_data": {"a": 1}}
    calls = [
        over_rest(locked, room, "ada"),
        ask(locked, "POST", f"{ROOMS}/{room}/update-data?peer_id=ada", own, json=data),
        ask(locked, "GET", f"{ROOMS}/{room}", own),
        ask(locked, "GET", f"/rooms/{room}/live", own),
        ask(locked, "POST", "/api/webrtc/upload", own, **_form(room, "ada")),
    ]
    assert [answer.status_code for answer in calls] == [403] * len(calls)
    assert room not in ask(locked, "GET", ROOMS, own).json()
    assert room not in ask(locked, "GET", "/fragments/rooms", own).text
    # Others are as free as before, and a token for every room does not help.
    assert over_rest(locked, room, "bob").ok
    wide = ask(locked, "POST", f"{ROOMS}/{room}/join", token("ada", "*"), json=join(room, "ada"))
    assert wide.json()["code"] == "banned"
    client.disconnect()


def test_who_is_banned_hears_no_more_of_a_room_it_watched(locked: LiveServer, room: str) -> None:
    names = ("ada", "bob", "root")
    grants = {"root": "admin"}
    watchers = [
        KINDS["python"](
            locked.url,
            ["websocket"],
            {"token": token(name, room, grants.get(name, ("join", "list")))},
        )
        for name in names
    ]
    for client in watchers:
        assert client.call("watch", {"room_name": room})["watching"] == room
    for name in ("ada", "root"):
        assert act(locked, room, f"peers/{name}/ban").ok
    version = over_rest(locked, room, "carol").json()["version"]
    banned, *others = watchers
    # Others hear of it, and so does an admin, whom no ban keeps from reading.
    for client in others:
        hears(client, "room_changed", lambda body: body["version"] >= version)
    hears(banned, "watch_error", lambda error: error["code"] == "banned")
    assert not any(events(one, "watch_error") for one in others)
    # Answered after all that was sent before it.
    assert banned.call("watch", {"room_name": room})["code"] == "banned"
    assert events(banned, "room_changed") == []
    for client in watchers:
        client.disconnect()


def test_who_is_banned_hears_of_the_list_of_rooms_when_theirs_changes(
    locked: LiveServer, room: str
) -> None:
    """Once for the room that is gone from it, and no more for what happens there."""
    watched = f"{room}-*"
    banned, other = (
        KINDS["python"](locked.url, ["websocket"], {"token": token(name, watched, "list")})
        for name in ("ada", "bob")
    )
    for client in (banned, other):
        client.call("watch", {})

    def heard(client: Client) -> int:
        return len(events(client, "rooms_changed"))

    def settled(change: Callable[[], object]) -> tuple[int, int]:
        """Return how often both had heard once the other has heard of a change."""
        before = heard(other)
        change()
        eventually(lambda: heard(other) > before, "the other hears of it")
        # Answered after all that was sent before it.
        banned.call("watch", {})
        return heard(banned), heard(other)

    shut = f"{room}-shut"
    first = settled(lambda: over_rest(locked, shut, "carol"))
    assert first[0] == 1
    # Nobody is put out, so that only the ban itself changes what anybody sees.
    assert act(locked, shut, "peers/ada/ban").ok
    # The other may hear of nothing by it: where the joining is still being announced, that is all.
    eventually(lambda: heard(banned) == 2, "the banned one hears that a room is gone")
    for name in ("dave", "erin"):
        assert settled(lambda name=name: over_rest(locked, shut, name))[0] == 2  # type: ignore[misc]
    # Together with a room that it may see it hears of both, and they look the same.
    over_rest(locked, f"{room}-free", "carol")
    eventually(lambda: heard(banned) == 3, "it hears of the others as before")
    for client in (banned, other):
        client.disconnect()


def _form(room: str, peer_id: str) -> dict[str, object]:
    return {"data": {"room_name": room, "peer_id": peer_id}, "files": {"file": ("a.txt", b"a")}}


def test_a_ban_ends_by_itself_or_is_taken_back(locked: LiveServer, room: str) -> None:
    act(locked, room, "peers/ada/ban", seconds=0.6)
    assert over_rest(locked, room, "ada").json()["code"] == "banned"
    eventually(lambda: over_rest(locked, room, "ada").ok, "the ban is over")

    act(locked, room, "peers/ada/ban")
    assert over_rest(locked, room, "ada").json()["until"] is None
    listed = ask(locked, "GET", f"{ROOMS}/{room}/bans", admin(room)).json()
    assert [bar["peer_id"] for bar in listed["bans"]] == ["ada"]
    assert act(locked, room, "peers/ada/unban").ok
    assert act(locked, room, "peers/ada/unban").json()["code"] == "ban_not_found"
    assert over_rest(locked, room, "ada").ok


def test_who_never_came_can_be_banned(locked: LiveServer, room: str) -> None:
    assert act(locked, room, "peers/stranger/ban").ok
    assert over_rest(locked, room, "stranger").json()["code"] == "banned"
    assert ask(locked, "GET", f"{ROOMS}/{room}", admin(room)).status_code == 404


def test_a_closed_room_is_empty_and_stays_so(locked: LiveServer, room: str) -> None:
    clients = [joined(locked, name, room) for name in ("ada", "bob")]
    assert over_rest(locked, room, "carol").ok
    closed = act(locked, room, "close", reason="Over for today").json()
    assert closed["put_out"] == ["ada", "bob", "carol"]
    for client in clients:
        assert hears(client, "leave_room_success")["reason"] == "room_closed"
        refused = client.call("join_room", join(room, client.received[0][1]["peer_id"]))
        assert (refused["code"], refused["reason"]) == ("room_closed", "Over for today")
    assert over_rest(locked, room, "dave").status_code == 409
    seen = ask(locked, "GET", f"{ROOMS}/{room}", admin(room)).json()
    assert (seen["active_peer_count"], seen["total_peer_count"]) == (0, 3)

    assert act(locked, room, "reopen").ok
    assert act(locked, room, "reopen").json()["code"] == "ban_not_found"
    assert clients[0].call("join_room", join(room, "ada"))["ok"]
    for client in clients:
        client.disconnect()


@pytest.mark.parametrize(
    "body",
    [{"seconds": 0}, {"seconds": -1}, {"seconds": "x"}, {"reason": "x" * 201}, {"reason": 5}],
)
def test_a_ban_that_cannot_be_is_refused(
    locked: LiveServer, room: str, body: dict[str, object]
) -> None:
    answer = act(locked, room, "peers/ada/ban", **body)
    assert (answer.status_code, answer.json()["field"]) == (422, next(iter(body)))


def test_who_was_put_out_is_not_put_back_after_a_crash(
    new_server: Callable[..., LiveServer], room: str
) -> None:
    """The secret that gives a lost connection its place back is gone with the place."""
    server = new_server(**LOCKED)
    # Bans and closed rooms survive the crash.
    expected = {"peers/ada/kick": None, "peers/ada/ban": "banned", "close": "room_closed"}
    clients = {}
    for number, put_out in enumerate(expected):
        where = f"{room}-{number}"
        client = KINDS["javascript"](server.url, None, {"token": token("ada", where)})
        assert client.call("join_room", join(where, "ada"))["ok"]
        assert act(server, where, put_out).ok
        hears(client, "leave_room_success")
        clients[put_out] = client, where
    server.kill()
    eventually(lambda: not any(c.connected for c, _ in clients.values()), "the clients notice")
    server.start()
    eventually(lambda: all(c.connected for c, _ in clients.values()), "all are back", 20)
    for put_out, (client, where) in clients.items():
        answer = client.call("join_room", join(where, "ada"))
        assert answer.get("code") == expected[put_out]
        assert len(events(client, "join_room_success")) == (1 if answer.get("code") else 2)
        client.disconnect()


def test_everybody_else_s_things_are_an_admin_s_to_remove(locked: LiveServer, room: str) -> None:
    assert over_rest(locked, room, "ada").ok
    name = upload(locked, token("ada", room), room, "ada")["filename"]
    path = f"{ROOMS}/{room}/files/{name}"
    assert ask(locked, "DELETE", path, token("bob", room)).json()["code"] == "wrong_peer"
    assert ask(locked, "DELETE", path, admin("elsewhere")).status_code == 403
    assert ask(locked, "DELETE", path, admin(room)).ok
    own = upload(locked, token("ada", room), room, "ada")["filename"]
    assert ask(locked, "DELETE", f"{ROOMS}/{room}/files/{own}", token("ada", room)).ok
    peer = f"{ROOMS}/{room}/peers/ada"
    assert ask(locked, "DELETE", peer, token("bob", room)).json()["code"] == "wrong_peer"
    assert ask(locked, "DELETE", peer, admin(room)).ok


def test_an_admin_acts_for_anybody_in_its_rooms(locked: LiveServer, room: str) -> None:
    backend = token("backend", f"{room}*", "admin")
    for peer_id in ("ada", "bob"):
        answer = ask(locked, "POST", f"{ROOMS}/{room}/join", backend, json=join(room, peer_id))
        assert answer.json()["peer_id"] == peer_id
    assert ask(locked, "POST", f"{ROOMS}/{room}/leave?peer_id=ada", backend).ok


def test_an_open_server_has_no_admins(new_server: Callable[..., LiveServer]) -> None:
    server = new_server()
    for path in ("peers/ada/kick", "peers/ada/ban", "peers/ada/unban", "close", "reopen"):
        answer = ask(server, "POST", f"{ROOMS}/studio/{path}")
        assert (answer.status_code, answer.json()["code"]) == (403, "open_mode")
    assert ask(server, "GET", f"{ROOMS}/studio/bans").json()["code"] == "open_mode"
    assert ask(server, "POST", "/api/webrtc/tokens", json={}).json()["code"] == "open_mode"
    # Erasing works as it always has.
    assert ask(server, "POST", f"{ROOMS}/studio/join", json=join("studio", "ada")).ok
    assert ask(server, "DELETE", f"{ROOMS}/studio/peers/ada").ok


def test_a_ban_that_races_a_join_wins(locked: LiveServer, room: str) -> None:
    clients = [joined(locked, f"ada{number}", room) for number in range(4)]
    for number, client in enumerate(clients):
        for _ in range(20):
            client.emit("leave_room", {})
            client.emit("join_room", join(room, f"ada{number}"))
        assert act(locked, room, f"peers/ada{number}/ban").ok
    for number, client in enumerate(clients):
        # Answered after all that was sent before it.
        assert client.call("join_room", join(room, f"ada{number}"))["code"] == "banned"
        client.disconnect()
    seen = ask(locked, "GET", f"{ROOMS}/{room}", admin(room)).json()
    assert seen["active_peer_count"] == 0
