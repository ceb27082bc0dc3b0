"""Peers whose sockets are held by different workers: one room, as on one process."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import requests

from local_cluster.private_cluster import PrivateCluster
from local_cluster.waiting import eventually
from tests.support.clients import events, hears, shows
from tests.support.rest import Rest

Connect = Callable[..., Any]


def join(client: Any, room: str, peer_id: str, **more: Any) -> None:
    message = {"room_name": room, "peer_id": peer_id, "username": peer_id, **more}
    answer = client.call("join_room", message)
    assert answer["ok"], answer


@pytest.fixture
def alice(cluster: PrivateCluster, connect: Connect, room: str) -> Any:
    """Alice, on the first worker."""
    client = connect(cluster.workers[0])
    join(client, room, "alice")
    return client


@pytest.fixture
def bob(cluster: PrivateCluster, connect: Connect, room: str, alice: Any) -> Any:
    """Bob, on the second worker, after alice has come."""
    client = connect(cluster.workers[1])
    join(client, room, "bob")
    return client


def test_both_see_one_room_with_the_same_versions(alice: Any, bob: Any) -> None:
    shows(alice, "bob", is_active=True)
    for number in range(20):
        bob.call("update_user_data", {"user_data": {"n": number}})
    for client in (alice, bob):
        newest = hears(
            client,
            "peer_list_updated",
            lambda body: body["peers"][-1]["user_data"] == {"n": 19},
        )
        versions = [body["version"] for body in events(client, "peer_list_updated")]
        assert versions == sorted(versions)
        assert newest["active_peers"] == 2


def test_a_change_is_told_with_its_notice(alice: Any, bob: Any) -> None:
    bob.call("update_user_data", {"user_data": {"hand": "up"}})
    assert hears(alice, "user_data_updated")["changed"] == ["hand"]
    assert not events(bob, "user_data_updated")


def test_the_rooms_own_data_is_one_and_no_writer_is_lost(
    cluster: PrivateCluster, connect: Connect, room: str, alice: Any, bob: Any
) -> None:
    carol = connect(cluster.workers[1])
    join(carol, room, "carol", updates="delta")

    def count_up(client: Any) -> None:
        at, done = 0, 0
        data: dict[str, int] = {}
        while done < 20:
            wanted = {"n": data.get("n", 0) + 1}
            answer = client.call("update_room_data", {"room_data": wanted, "if_version": at})
            at, data = answer["version"], answer["room_data"]
            done += answer["ok"]

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(count_up, (alice, bob)))
    for client in (alice, bob, carol):
        hears(client, "room_data_updated", lambda body: body["room_data"] == {"n": 40})
        told = [body["version"] for body in events(client, "room_data_updated")]
        assert told == sorted(told)
    for client in (alice, bob):
        hears(client, "peer_list_updated", lambda body: body.get("room_data") == {"n": 40})
    hears(carol, "peer_updated", lambda body: body.get("room_data") == {"n": 40})


def test_states_of_the_moment_are_heard_on_every_worker(
    cluster: PrivateCluster, connect: Connect, room: str, alice: Any
) -> None:
    alice.call("state", {"state": {"hand": "raised"}})
    bob, carol = connect(cluster.workers[1]), connect(cluster.workers[0])
    join(bob, room, "bob", states=True)
    join(carol, room, "carol", states=True)

    def seen(client: Any) -> dict[str, Any]:
        told = [one for body in events(client, "states_changed") for one in body["states"]]
        return {one["peer_id"]: one["state"] for one in told}

    for client in (bob, carol):
        eventually(lambda c=client: seen(c) == {"alice": {"hand": "raised"}}, "its state now")  # type: ignore[misc]
    for number in range(50):
        alice.call("state", {"state": {"n": number}})
        bob.call("state", {"state": {"m": number}})
    for client in (bob, carol):
        wanted = {"alice": {"n": 49}, "bob": {"m": 49}}
        eventually(lambda c=client, w=wanted: seen(c) == w, "the newest")  # type: ignore[misc]
    alice.kill()
    for client in (bob, carol):
        eventually(lambda c=client: seen(c)["alice"] is None, "hers is gone")  # type: ignore[misc]


@pytest.mark.parametrize("transport", ["websocket", "polling"])
def test_signals_are_acknowledged_as_on_one_process(
    cluster: PrivateCluster, connect: Connect, room: str, alice: Any, transport: str
) -> None:
    bob = connect(cluster.workers[1], transports=[transport])
    join(bob, room, "bob")
    answers = [alice.call("signal", {"to": "bob", "type": "t", "data": n}) for n in range(50)]
    assert {answer["status"] for answer in answers} == {"delivered"}
    assert answers[0]["to_session"] == bob.sid
    hears(bob, "signal", lambda body: body["data"] == 49)
    received = events(bob, "signal")
    assert [body["data"] for body in received] == list(range(50))
    assert set(received[0]) == {"from", "from_session", "room_name", "type", "data"}
    assert (received[0]["from"], received[0]["from_session"]) == ("alice", alice.sid)


@pytest.fixture
def overheard(cluster: PrivateCluster) -> Generator[Callable[[], list[tuple[str, int]]]]:
    """Listen to all that goes through Redis; call it for (channel, bytes) of each so far."""
    pubsub = cluster.redis.client().pubsub()  # type: ignore[no-untyped-call]
    pubsub.psubscribe("presence:*")
    eventually(lambda: pubsub.get_message(timeout=1), "Redis has confirmed")

    def messages() -> list[tuple[str, int]]:
        heard = []
        while (message := pubsub.get_message(timeout=0.3)) is not None:
            heard.append((message["channel"].decode(), len(message["data"])))
        # What the list of rooms is told comes half a second later, and is nobody's here.
        return [item for item in heard if item[0] != "presence:lobby:"]

    yield messages
    pubsub.close()


def test_a_signal_costs_one_message_to_its_worker_and_one_back(
    alice: Any, bob: Any, overheard: Callable[[], list[tuple[str, int]]]
) -> None:
    assert alice.call("signal", {"to": "bob", "data": 0})["status"] == "delivered"
    overheard()
    for number in range(50):
        alice.call("signal", {"to": "bob", "data": number})
    channels = [channel for channel, _ in overheard()]
    assert {name: channels.count(name) for name in sorted(set(channels))} == {
        "presence:worker:w1": 50,
        "presence:worker:w2": 50,
    }


def test_a_change_costs_one_small_message_to_those_in_its_room_however_long_the_list_is(
    cluster: PrivateCluster,
    room: str,
    alice: Any,
    bob: Any,
    overheard: Callable[[], list[tuple[str, int]]],
) -> None:
    alice.call("update_user_data", {"user_data": {"text": "x" * 10_000}})
    shows(bob, "alice", is_active=True)
    overheard()
    Rest(cluster.workers[2]).join(room, "carol")
    shows(bob, "carol", is_active=True)
    heard = overheard()
    assert [channel for channel, _ in heard] == [f"presence:room:{room}"]
    assert heard[0][1] < 300


@pytest.mark.parametrize("wanted", ["unknown_peer", "inactive"])
def test_who_cannot_be_reached_is_named_as_on_one_process(
    cluster: PrivateCluster, room: str, alice: Any, bob: Any, wanted: str
) -> None:
    if wanted == "inactive":
        bob.call("leave_room", {})
    to = "bob" if wanted == "inactive" else "nobody"
    answer = alice.call("signal", {"to": to, "data": 1})
    assert (answer["ok"], answer["code"]) == (False, wanted)


def test_a_signal_for_a_session_reaches_that_one_and_without_it_the_newest(
    cluster: PrivateCluster, connect: Connect, room: str, alice: Any, bob: Any
) -> None:
    tabs = {worker.name: connect(worker) for worker in (cluster.workers[0], cluster.workers[2])}
    for tab in tabs.values():
        join(tab, room, "bob")
    hears(
        alice,
        "peer_list_updated",
        lambda body: [p["session_count"] for p in body["peers"]] == [1, 3],
    )
    newest = tabs[cluster.workers[2].name]
    assert alice.call("signal", {"to": "bob", "data": 1})["to_session"] == newest.sid
    chosen = {"to": "bob", "data": 2, "to_session": bob.sid}
    assert alice.call("signal", chosen)["to_session"] == bob.sid
    assert hears(bob, "signal")["data"] == 2
    newest.disconnect()
    hears(
        alice,
        "peer_list_updated",
        lambda body: [p["session_count"] for p in body["peers"]] == [1, 2],
    )
    last = tabs[cluster.workers[0].name]
    assert alice.call("signal", {"to": "bob", "data": 3})["to_session"] == last.sid


def test_signals_wait_for_a_peer_that_comes_back_on_another_worker_in_their_order(
    cluster: PrivateCluster, connect: Connect, room: str, alice: Any, bob: Any
) -> None:
    bob.kill()
    shows(alice, "bob", is_active=False)
    answers = [alice.call("signal", {"to": "bob", "data": n}) for n in range(5)]
    assert {answer["status"] for answer in answers} == {"held"}
    back = connect(cluster.workers[2])
    join(back, room, "bob")
    numbers = itertools.count(5)

    def is_delivered_at_once() -> bool:
        answer = alice.call("signal", {"to": "bob", "data": next(numbers)})
        assert answer["ok"]
        return bool(answer["status"] == "delivered")

    # Those sent while others wait still have to queue behind them, and must not come faster than
    # a busy machine hands them over.
    eventually(is_delivered_at_once, "nothing waits any more", interval=0.3)
    sent = list(range(next(numbers)))
    hears(back, "signal", lambda body: body["data"] == sent[-1])
    assert [body["data"] for body in events(back, "signal")] == sent


def test_who_waited_in_vain_is_told(
    cluster: PrivateCluster, connect: Connect, room: str, alice: Any, bob: Any
) -> None:
    bob.kill()
    shows(alice, "bob", is_active=False)
    held = alice.call("signal", {"to": "bob", "data": 1})
    told = hears(alice, "signal_error", seconds=15)
    assert (told["code"], told["signal_id"]) == ("expired", held["signal_id"])


def test_a_broadcast_reaches_everybody_else_once(
    cluster: PrivateCluster, connect: Connect, room: str, alice: Any, bob: Any
) -> None:
    carol = connect(cluster.workers[2])
    join(carol, room, "carol")
    answer = alice.call("broadcast", {"event": "chat", "data": "hello"})
    assert answer == {"ok": True, "status": "delivered", "event": "chat"}
    for client in (bob, carol):
        assert hears(client, "broadcast")["data"] == "hello"
    bob.call("broadcast", {"event": "chat", "data": "bye"})
    for client in (alice, carol):
        hears(client, "broadcast", lambda body: body["data"] == "bye")
    assert [len(events(client, "broadcast")) for client in (alice, bob, carol)] == [1, 1, 2]


@pytest.mark.parametrize("way", ["leave", "erase"])
def test_who_is_taken_out_over_rest_hears_of_it_and_of_nothing_after(
    cluster: PrivateCluster, room: str, alice: Any, bob: Any, way: str
) -> None:
    rest = Rest(cluster.workers[2])
    if way == "leave":
        assert rest.post(f"/rooms/{room}/leave?peer_id=bob").ok
    else:
        assert rest.delete(f"/rooms/{room}/peers/bob").ok
    told = hears(bob, "leave_room_success")
    assert told["reason"] == ("left_over_rest" if way == "leave" else "erased")
    assert bob.call("update_user_data", {"user_data": {}})["code"] == "not_joined"
    before = len(bob.received)
    alice.call("broadcast", {"event": "x", "data": 1})
    alice.call("update_user_data", {"user_data": {"a": 1}})
    bob.call("sync", {})
    assert [event for event, _ in bob.received[before:]] == ["sync_error"]


def test_a_file_is_announced_and_served_everywhere(
    cluster: PrivateCluster, room: str, alice: Any, bob: Any
) -> None:
    first, second, third = cluster.workers
    uploaded = requests.post(
        f"{third.url}/api/webrtc/upload",
        files={"file": ("a.txt", b"hello")},
        data={"room_name": room, "peer_id": "alice"},
        timeout=10,
    ).json()
    for client in (alice, bob):
        assert hears(client, "file_uploaded")["filename"] == uploaded["filename"]
    for worker in (first, second):
        assert requests.get(worker.url + uploaded["file_url"], timeout=10).content == b"hello"


def test_watchers_hear_of_rooms_that_change_on_another_worker(
    cluster: PrivateCluster, connect: Connect, room: str, alice: Any
) -> None:
    of_room, of_list = connect(cluster.workers[2]), connect(cluster.workers[2])
    of_room.call("watch", {"room_name": room})
    of_list.call("watch", {})
    alice.call("update_user_data", {"user_data": {"a": 1}})
    hears(of_room, "room_changed", seconds=2)
    hears(of_list, "rooms_changed", seconds=2)


def test_a_client_that_asks_for_changes_gets_them_from_another_worker(
    cluster: PrivateCluster, connect: Connect, room: str, alice: Any
) -> None:
    carol = connect(cluster.workers[1])
    join(carol, room, "carol", updates="delta")
    alice.call("update_user_data", {"user_data": {"a": 1}})
    change = hears(carol, "peer_updated", lambda body: body["peers"][0]["peer_id"] == "alice")
    assert change["peers"][0]["user_data"] == {"a": 1}
    assert not events(carol, "peer_list_updated")
