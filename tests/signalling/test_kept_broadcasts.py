"""Kept broadcasts: whoever was away hears what was said meanwhile, once and in order."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Generator
from typing import Any

import pytest
import requests

from local_cluster.live_server import LiveServer
from local_cluster.waiting import eventually
from tests.support.clients import PythonClient, events, hears
from tests.support.commands import flask
from tests.support.ears import Ear

Connect = Callable[..., Any]
ROOMS = "/api/webrtc/rooms"
# How often the server is killed; 50 in a campaign.
KILLS = int(os.environ.get("PRESENCE_TEST_KILLS", "3"))


@pytest.fixture(scope="module", params=["eventlet", "threading"])
def keeping(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Generator[LiveServer]:
    """A server that keeps some broadcasts."""
    folder = tmp_path_factory.mktemp("keeping")
    server = LiveServer(folder, request.param, PRESENCE_KEEP_BROADCASTS=300).start()
    yield server
    server.kill()


def join(client: Any, room: str, peer_id: str, **more: Any) -> dict[str, Any]:
    message = {"room_name": room, "peer_id": peer_id, "username": peer_id, **more}
    answer: dict[str, Any] = client.call("join_room", message)
    assert answer["ok"], answer
    return answer


def say(client: Any, *data: Any) -> list[int]:
    """Send kept broadcasts; return their ids."""
    ids = []
    for item in data:
        answer = client.call("broadcast", {"event": "chat", "data": item, "keep": True})
        assert answer["ok"], answer
        ids.append(answer["id"])
    return ids


def told(client: Any) -> list[Any]:
    """Return the kept broadcasts that a client has heard; it has a thread for each."""
    return sorted(events(client, "broadcast"), key=lambda body: body["id"])


def heard(client: Any) -> list[Any]:
    return [body["data"] for body in told(client)]


def test_who_was_away_hears_what_was_said_in_order_and_then_that_it_is_all(
    keeping: LiveServer, connect: Connect, room: str
) -> None:
    ada, bob = connect(keeping), connect(keeping)
    join(ada, room, "ada")
    last = join(bob, room, "bob")["last_broadcast"]
    ids = say(ada, "one", {"two": [2]})
    assert ids == [last + 1, last + 2]
    hears(bob, "broadcast", lambda body: body["id"] == ids[1])
    live = told(bob)
    assert [body["id"] for body in live] == ids
    assert set(live[0]) == {
        *("from", "from_session", "room_name", "event", "data", "id", "sent_at"),
    }
    assert not events(ada, "broadcast"), "who says it does not hear it"
    bob.disconnect()
    more = say(ada, None, "é😀", 2.5)
    bob = connect(keeping)
    assert join(bob, room, "bob", since_broadcast=ids[1])["last_broadcast"] == more[-1]
    end = hears(bob, "broadcasts_caught_up")
    assert end == {
        "room_name": room,
        "since": ids[1],
        "last": more[-1],
        "complete": True,
        "from": ids[1] + 1,
        "more": False,
    }
    missed = told(bob)
    assert [(body["id"], body["data"]) for body in missed] == list(
        zip(more, [None, "é😀", 2.5], strict=True)
    )
    assert {body["replayed"] for body in missed} == {True}
    say(ada, "live")
    assert "replayed" not in hears(bob, "broadcast", lambda body: body["data"] == "live")


def test_nobody_is_told_what_it_did_not_ask_for(
    keeping: LiveServer, connect: Connect, room: str
) -> None:
    ada, bob, carol = connect(keeping), connect(keeping), connect(keeping)
    join(ada, room, "ada")
    ids = say(ada, "kept")
    ada.call("broadcast", {"event": "chat", "data": "not kept"})
    assert join(bob, room, "bob")["last_broadcast"] == ids[0]
    join(carol, room, "carol", since_broadcast=ids[0])
    assert hears(carol, "broadcasts_caught_up")["complete"]
    assert not events(bob, "broadcast")
    assert not events(carol, "broadcast")
    synced = bob.call("sync", {"since_broadcast": 0})
    assert (synced["broadcasts"]["last"], synced["broadcasts"]["more"]) == (ids[0], False)
    assert "peers" not in synced
    assert heard(bob) == ["kept"]
    assert bob.call("sync", {})["code"] == "invalid_field"


def test_much_is_told_in_parts(keeping: LiveServer, connect: Connect, room: str) -> None:
    ada, bob = connect(keeping), connect(keeping)
    join(ada, room, "ada")
    ids = say(ada, *range(250))
    since = ids[0] - 1
    join(bob, room, "bob", since_broadcast=since)
    end = hears(bob, "broadcasts_caught_up")
    assert end["more"]
    assert end["last"] < ids[-1]
    while end["more"]:
        end = bob.call("sync", {"since_broadcast": end["last"]})["broadcasts"]
    assert end["last"] == ids[-1]
    assert heard(bob) == list(range(250))
    big = ["x" * 50_000] * 10
    start = say(ada, *big)[0]
    carol = connect(keeping)
    join(carol, room, "carol")
    first = carol.call("sync", {"since_broadcast": start - 1})["broadcasts"]
    assert first["more"]
    assert 1 < len(events(carol, "broadcast")) < 10


def test_who_was_away_for_too_long_is_told_from_where_on_it_is_all(
    new_server: Callable[..., LiveServer], connect: Connect
) -> None:
    server = new_server(PRESENCE_KEEP_BROADCASTS=3)
    ada, bob = connect(server), connect(server)
    join(ada, "r", "ada")
    ids = say(ada, *range(10))
    join(bob, "r", "bob", since_broadcast=ids[2])
    end = hears(bob, "broadcasts_caught_up")
    assert (end["complete"], end["from"], end["last"]) == (False, ids[7], ids[9])
    assert heard(bob) == [7, 8, 9]
    assert bob.call("sync", {"since_broadcast": ids[6]})["broadcasts"]["complete"]
    beyond = bob.call("sync", {"since_broadcast": ids[9] + 5})["broadcasts"]
    assert (beyond["complete"], beyond["last"]) == (False, ids[9])


def test_they_go_when_their_time_is_over(
    new_server: Callable[..., LiveServer], connect: Connect
) -> None:
    server = new_server(PRESENCE_KEEP_BROADCASTS=10, PRESENCE_KEEP_BROADCASTS_FOR="1s")
    ada = connect(server)
    join(ada, "r", "ada")
    (one,) = say(ada, "old")

    def end() -> Any:
        return ada.call("sync", {"since_broadcast": one - 1})["broadcasts"]

    eventually(lambda: not end()["complete"], "it is kept no more", 20)
    assert end()["from"] == one + 1


def test_they_are_swept_where_none_are_kept_any_more(
    new_server: Callable[..., LiveServer], connect: Connect
) -> None:
    server = new_server(PRESENCE_KEEP_BROADCASTS=10)
    ada = connect(server)
    join(ada, "r", "ada")
    say(ada, 1, 2, 3)
    server.stop()
    unkept = {**server.settings, "PRESENCE_KEEP_BROADCASTS": "0"}
    for dry, told in (("--dry-run", "Would remove"), ("", "Removed")):
        sweeping = flask("sweep", *filter(None, [dry]), **unkept)
        assert sweeping.stdout.startswith(told), sweeping
        assert "3 kept broadcasts" in sweeping.stdout
    assert "0 kept broadcasts" in flask("sweep", **unkept).stdout


def test_what_a_peer_said_goes_with_it_and_nothing_is_missing_by_that(
    keeping: LiveServer, connect: Connect, room: str
) -> None:
    ada, eve, bob = connect(keeping), connect(keeping), connect(keeping)
    join(ada, room, "ada")
    join(eve, room, "eve")
    (first,) = say(ada, "before")
    say(eve, "secret", "secret")
    say(ada, "after")
    requests.delete(f"{keeping.url}{ROOMS}/{room}/peers/eve", timeout=10).raise_for_status()
    join(bob, room, "bob", since_broadcast=first - 1)
    assert hears(bob, "broadcasts_caught_up")["complete"]
    assert heard(bob) == ["before", "after"]


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ({"event": "chat", "keep": True}, "invalid_field"),
        ({"event": "chat", "data": 1, "keep": "yes"}, "invalid_field"),
        ({"event": "chat", "data": 1, "keep": None}, "invalid_field"),
        ({"event": "chat", "data": "x" * 70_000, "keep": True}, "too_large"),
        # Which PostgreSQL cannot store.
        ({"event": "ch\0at", "data": 1, "keep": True}, "invalid_field"),
    ],
)
def test_what_cannot_be_kept_is_answered(
    keeping: LiveServer, connect: Connect, room: str, message: dict[str, Any], code: str
) -> None:
    ada = connect(keeping)
    assert ada.call("broadcast", {"event": "e", "data": 1, "keep": True})["code"] == "not_joined"
    before = join(ada, room, "ada")["last_broadcast"]
    assert ada.call("broadcast", message)["code"] == code
    published = requests.post(f"{keeping.url}{ROOMS}/{room}/broadcast", json=message, timeout=10)
    assert published.json()["code"] == code
    assert ada.call("sync", {"since_broadcast": before})["broadcasts"]["last"] == before


def test_a_server_that_keeps_none_says_so_and_lists_look_as_ever(
    server: LiveServer, connect: Connect, room: str
) -> None:
    ada = connect(server)
    assert "last_broadcast" not in join(ada, room, "ada", since_broadcast=0)
    kept = ada.call("broadcast", {"event": "e", "data": 1, "keep": True})
    assert kept["code"] == "broadcasts_not_kept"
    assert ada.call("sync", {"since_broadcast": 0})["code"] == "broadcasts_not_kept"
    said = requests.post(
        f"{server.url}{ROOMS}/{room}/broadcast",
        json={"event": "e", "data": 1, "keep": True},
        timeout=10,
    )
    assert (said.status_code, said.json()["code"]) == (409, "broadcasts_not_kept")


def test_what_a_backend_says_is_kept_too(keeping: LiveServer, connect: Connect, room: str) -> None:
    ada, bob = connect(keeping), connect(keeping)
    join(ada, room, "ada")

    def publish(**more: Any) -> Any:
        body = {"event": "notice", "data": {"n": 1}, "keep": True, "name": "Desk", **more}
        return requests.post(f"{keeping.url}{ROOMS}/{room}/broadcast", json=body, timeout=10).json()

    number = publish()["id"]
    assert hears(ada, "broadcast")["id"] == number
    assert publish(to=["ada"])["field"] == "keep"
    join(bob, room, "bob", since_broadcast=number - 1)
    told = hears(bob, "broadcast")
    assert (told["from"], told["from_server"], told["name"]) == (None, True, "Desk")


def test_ten_who_speak_at_once_are_heard_in_one_order(
    keeping: LiveServer, connect: Connect, room: str
) -> None:
    ears = [Ear(keeping, f"ear {number}", room) for number in range(2)]
    speakers = [connect(keeping) for _ in range(10)]
    for number, speaker in enumerate(speakers):
        join(speaker, room, f"speaker {number}")
    threads = [threading.Thread(target=say, args=(s, *range(20))) for s in speakers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for ear in ears:
        eventually(lambda ear=ear: len(ear.heard()) == 200, "all are heard")  # type: ignore[misc]
        assert ear.ids == list(range(ear.ids[0], ear.ids[0] + 200))
        ear.close()


@pytest.mark.timeout(1200)
def test_no_acknowledged_one_is_lost_over_crashes_and_none_is_heard_twice(
    new_server: Callable[..., LiveServer],
) -> None:
    server = new_server(PRESENCE_KEEP_BROADCASTS=100_000)
    acknowledged: list[int] = []
    got: list[int] = []
    for turn in range(KILLS):
        clients = [PythonClient(server.url, ["websocket"]) for _ in range(11)]
        ear, *speakers = clients
        last = max(got, default=0)
        join(ear, "r", "ear", since_broadcast=last)
        for number, speaker in enumerate(speakers):
            join(speaker, "r", f"speaker {number}")
        is_over = threading.Event()

        def speak(speaker: Any, turn: int = turn, is_over: threading.Event = is_over) -> None:
            while not is_over.is_set():
                try:
                    answer = speaker.call("broadcast", {"event": "e", "data": turn, "keep": True})
                    acknowledged.append(answer["id"])
                except Exception:
                    return

        threads = [threading.Thread(target=speak, args=(s,), daemon=True) for s in speakers]
        for thread in threads:
            thread.start()
        end = hears(ear, "broadcasts_caught_up", seconds=30)
        while end["more"]:
            end = ear.call("sync", {"since_broadcast": end["last"]})["broadcasts"]
        eventually(lambda ear=ear, turn=turn: heard(ear).count(turn) > 50, "it hears those of now")  # type: ignore[misc]
        server.kill()
        is_over.set()
        eventually(lambda ear=ear: not ear.connected, "the connection is lost")  # type: ignore[misc]
        got += sorted({body["id"] for body in events(ear, "broadcast")} - set(got))
        server.start()
    ear = PythonClient(server.url, ["websocket"])
    join(ear, "r", "ear", since_broadcast=max(got))
    hears(ear, "broadcasts_caught_up")
    got += [body["id"] for body in events(ear, "broadcast")]
    ear.disconnect()
    assert got == sorted(set(got))
    assert set(acknowledged) <= set(got)
