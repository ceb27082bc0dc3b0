"""Why somebody is not here: every way to go is told with its reason, in lists and in changes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from local_cluster.live_server import LiveServer
from local_cluster.waiting import eventually
from tests.support.callers import ROOMS, admin, ask, join, joined
from tests.support.clients import Body, PythonClient, events, hears, shows
from tests.support.keys import LOCKED, token

PEER = "ada"
Way = Callable[[LiveServer, str, PythonClient], object]


def _as_admin(action: str) -> Way:
    return lambda server, room, _client: act(server, room, f"peers/{PEER}/{action}")


def act(server: LiveServer, room: str, path: str) -> None:
    ask(server, "POST", f"{ROOMS}/{room}/{path}", admin(room), json={}).raise_for_status()


def over_rest(server: LiveServer, room: str, _client: PythonClient) -> None:
    path = f"{ROOMS}/{room}/leave?peer_id={PEER}"
    ask(server, "POST", path, token(PEER, room)).raise_for_status()


WAYS: dict[str, tuple[Way, str]] = {
    "by the event": (lambda _server, _room, client: client.call("leave_room"), "left"),
    "over REST": (over_rest, "left"),
    "to another room": (lambda _s, room, client: enter(client, f"{room}-too"), "left"),
    "by closing": (lambda _server, _room, client: client.disconnect(), "disconnected"),
    "by being lost": (lambda _server, _room, client: client.kill(), "disconnected"),
    "by being kicked": (_as_admin("kick"), "kicked"),
    "by being banned": (_as_admin("ban"), "banned"),
}


def enter(client: PythonClient, room: str) -> None:
    answer = client.call("join_room", join(room, PEER))
    assert answer["ok"], answer


def arrive(server: LiveServer, room: str) -> PythonClient:
    """Join as the peer that is going to leave, with a token for another room as well."""
    client = PythonClient(server.url, ["websocket"], {"token": token(PEER, f"{room}*")})
    enter(client, room)
    return client


def listed(server: LiveServer, room: str) -> Body:
    """Return the peer as the list over REST shows it."""
    body = ask(server, "GET", f"{ROOMS}/{room}", token("bob", room)).json()
    return dict(next(peer for peer in body["peers"] if peer["peer_id"] == PEER))


@pytest.mark.parametrize("way", WAYS)
def test_whoever_goes_is_listed_with_the_reason(locked: LiveServer, room: str, way: str) -> None:
    go, reason = WAYS[way]
    with_lists = joined(locked, "bob", room)
    with_changes = PythonClient(locked.url, ["websocket"], {"token": token("eve", room)})
    with_changes.call("join_room", {**join(room, "eve"), "updates": "delta"})
    client = arrive(locked, room)
    here = shows(with_lists, PEER, is_active=True)
    assert here["reason"] is None

    go(locked, room, client)

    assert shows(with_lists, PEER, is_active=False, seconds=20)["reason"] == reason
    (told,) = hears(with_changes, "peer_left")["peers"]
    assert (told["peer_id"], told["reason"]) == (PEER, reason)
    assert listed(locked, room)["reason"] == reason

    if reason != "banned":
        back = arrive(locked, room)
        assert shows(with_lists, PEER, is_active=True)["reason"] is None
        back.disconnect()
    for one in (client, with_lists, with_changes):
        one.disconnect()


def test_a_closed_room_says_so_of_everybody(locked: LiveServer, room: str) -> None:
    client = arrive(locked, room)
    act(locked, room, "close")
    act(locked, room, "reopen")
    assert listed(locked, room)["reason"] == "room_closed"
    client.disconnect()


@pytest.mark.parametrize(("action", "reason"), [("kick", "kicked"), ("ban", "banned")])
def test_who_was_lost_and_is_put_out_then_is_away_for_good(
    locked: LiveServer, room: str, action: str, reason: str
) -> None:
    # A call goes on without the server, so those in it must hear that it should end.
    watcher = PythonClient(locked.url, ["websocket"], {"token": token("bob", room)})
    watcher.call("join_room", {**join(room, "bob"), "updates": "delta"})
    client = arrive(locked, room)
    hears(watcher, "peer_joined")
    client.kill()
    hears(watcher, "peer_left", lambda body: body["peers"][0]["reason"] == "disconnected", 20)
    act(locked, room, f"peers/{PEER}/{action}")
    hears(watcher, "peer_updated", lambda body: body["peers"][0]["reason"] == reason)
    act(locked, room, f"peers/{PEER}/{action}")
    assert listed(locked, room)["reason"] == reason
    for one in (client, watcher):
        one.disconnect()


def test_a_rest_join_that_is_not_renewed_has_expired(
    new_server: Callable[..., LiveServer], room: str
) -> None:
    server = new_server(**{**LOCKED, "PRESENCE_REST_SESSION_SECONDS": 1})
    watcher: Any = joined(server, "bob", room)
    path = f"{ROOMS}/{room}/join"
    ask(server, "POST", path, token(PEER, room), json=join(room, PEER)).raise_for_status()
    eventually(
        lambda: [
            peer
            for body in events(watcher, "peer_list_updated")
            for peer in body["peers"]
            if (peer["peer_id"], peer["reason"]) == (PEER, "expired")
        ],
        "the list says that it expired",
        20,
    )
    watcher.disconnect()
