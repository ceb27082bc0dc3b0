"""Events that are fetched: by cursors, waiting for the next, and only of the rooms of a token."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import requests

from local_cluster.live_server import LiveServer
from local_cluster.waiting import eventually
from tests.support.keys import LOCKED, bearer, token
from tests.support.rest import Rest, refusal

NewServer = Callable[..., LiveServer]


def fetch(server: LiveServer, headers: Any = None, **query: Any) -> dict[str, Any]:
    answer = requests.get(
        f"{server.url}/api/webrtc/events", params=query, headers=headers, timeout=40
    )
    assert answer.ok, answer.text
    body: dict[str, Any] = answer.json()
    return body


def all_of(server: LiveServer, **query: Any) -> list[dict[str, Any]]:
    """Read page by page until there is no more."""
    events: list[dict[str, Any]] = []
    while True:
        page = fetch(server, **query)
        events += page["events"]
        query["after"] = page["cursor"]
        if not page["more"]:
            return events


@pytest.mark.parametrize("mode", ["eventlet", "threading"])
def test_a_backend_reads_on_where_it_was(new_server: NewServer, mode: str) -> None:
    server = new_server(mode, PRESENCE_KEEP_EVENTS="1d")
    rest = Rest(server)
    latest = fetch(server, after="latest")
    assert latest["events"] == []
    for number in range(25):
        rest.join(f"r{number % 2}", f"p{number}", n=number)
    eventually(lambda: len(all_of(server)) == 27, "all are to be had")
    whole = all_of(server, limit=4)
    assert whole == all_of(server) == all_of(server, after=latest["cursor"])
    assert len({event["id"] for event in whole}) == 27
    assert [e for e in whole if e["room_name"] == "r1"] == all_of(server, room="r1", limit=5)
    assert fetch(server, room="r0", limit=1, after=fetch(server)["cursor"])["events"] == []

    # Whoever waits is told at once; whoever waits for another room goes on waiting.
    cursor = fetch(server)["cursor"]
    found: dict[str, Any] = {}

    def wait(room: str) -> None:
        began = time.monotonic()
        found[room] = fetch(server, after=cursor, room=room, wait=3)
        found[f"{room} took"] = time.monotonic() - began

    waiting = [threading.Thread(target=wait, args=(room,)) for room in ("r0", "r1")]
    for thread in waiting:
        thread.start()
    time.sleep(0.5)
    rest.post("/rooms/r0/leave?peer_id=p0")
    for thread in waiting:
        thread.join()
    assert [event["type"] for event in found["r0"]["events"]] == ["peer_left"]
    assert found["r0 took"] < 2.5
    assert found["r1"]["events"] == []
    assert found["r1 took"] > 2.9
    assert fetch(server, after=found["r1"]["cursor"])["events"] == []

    # The same on a server that starts again.
    server.stop()
    server.start()
    assert all_of(server)[: len(whole)] == whole


def test_what_is_gone_is_told(new_server: NewServer) -> None:
    server = new_server(PRESENCE_KEEP_EVENTS="1s")
    rest = Rest(server)
    start = fetch(server, after="latest")["cursor"]
    rest.join("r", "ada")
    url = f"{server.url}/api/webrtc/events"

    def since_the_start() -> requests.Response:
        return requests.get(url, params={"after": start}, timeout=10)

    eventually(lambda: since_the_start().status_code == 410, "the events go", 20)
    answer = since_the_start()
    assert refusal(answer) == (410, "events_gone")
    rest.join("r", "bob")
    since = {"after": answer.json()["oldest"], "wait": 5}
    assert [e["peer_id"] for e in fetch(server, **since)["events"]] == ["bob"]
    for wrong in ({"after": "x"}, {"after": "c1-ffffff"}, {"wait": 31}, {"wait": "nan"}):
        answer = requests.get(url, params=wrong, timeout=10)
        assert refusal(answer) == (422, "invalid_field"), wrong
    for limit in ("0", "1001", "x", "1.5"):
        answer = requests.get(url, params={"limit": limit}, timeout=10)
        assert refusal(answer) == (422, "invalid_field"), limit


def joined(server: LiveServer, cursor: str) -> list[str]:
    """Return who has joined after a cursor."""
    events = all_of(server, after=cursor)
    return [event["peer_id"] for event in events if event["type"] == "peer_joined"]


def test_who_reads_on_is_told_that_events_were_off_meanwhile(new_server: NewServer) -> None:
    """Whether what happened before was read or not, and also where nothing was to be read."""
    server = new_server(PRESENCE_KEEP_EVENTS="1d")
    rest = Rest(server)
    for number in range(3):
        cursors = {fetch(server, after="latest")["cursor"], fetch(server)["cursor"]}
        if number < 2:
            rest.join("r", f"before{number}")
            eventually(lambda: all_of(server), "it is told")
            cursors |= {page["cursor"] for page in (fetch(server, limit=1), fetch(server))}
        for keep, peer_id in (("off", f"meanwhile{number}"), ("1d", f"after{number}")):
            server.stop()
            server.set(PRESENCE_KEEP_EVENTS=keep)
            server.start()
            rest.join("r", peer_id)
        for cursor in cursors:
            answer = requests.get(
                f"{server.url}/api/webrtc/events", params={"after": cursor}, timeout=10
            )
            assert refusal(answer) == (410, "events_gone"), cursor
            oldest = answer.json()["oldest"]
            told = eventually(partial(joined, server, oldest), "it is told again")
            assert told == [f"after{number}"]


def test_a_server_that_keeps_nothing_says_so(new_server: NewServer) -> None:
    answer = Rest(new_server()).get("/events")
    assert refusal(answer) == (409, "events_not_kept")


def test_a_token_reads_the_rooms_that_it_is_for(new_server: NewServer) -> None:
    server = new_server(**LOCKED, PRESENCE_KEEP_EVENTS="1d")
    base = f"{server.url}/api/webrtc"
    for room in ("team-1", "team-2", "other"):
        requests.post(
            f"{base}/rooms/{room}/join",
            json={"peer_id": "ada", "username": "Ada"},
            headers=bearer(token("ada", room, "join")),
            timeout=10,
        )

    def seen(pattern: str, grant: str, **query: Any) -> set[str]:
        page = fetch(server, bearer(token("backend", pattern, grant)), **query)
        return {event["room_name"] for event in page["events"]}

    eventually(lambda: len(seen("*", "admin")) == 3, "all are to be had")
    assert seen("team-*", "events") == {"team-1", "team-2"}
    assert seen("team-2", "events") == {"team-2"}
    assert seen("team-*", "events", room="team-1") == {"team-1"}
    for grants, room in ((("list", "join"), ""), (("events",), "other")):
        answer = requests.get(
            f"{base}/events",
            params={"room": room} if room else {},
            headers=bearer(token("backend", "team-*", grants)),
            timeout=10,
        )
        assert refusal(answer) == (403, "not_granted")
