"""The life of a client, call by call: whatever overlaps, every call ends, and truly."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import Future, wait
from typing import Any

import requests
from presence_client import AsyncClient

from .conftest import NewClient, NewLine
from .kinds import Driven, failure, timed
from .support import LiveServer, eventually


def active(server: LiveServer, room: str) -> dict[str, int]:
    """Return the active peers of a room and how many sessions each has, as the server has it."""
    answer = requests.get(f"{server.url}/api/webrtc/rooms/{room}", timeout=10)
    if answer.status_code == 404:
        return {}
    peers = answer.json()["peers"]
    return {peer["peer_id"]: peer["session_count"] for peer in peers if peer["is_active"]}


def told(heard: list[tuple[str, Any]], *events: str) -> list[Any]:
    return [value for event, value in heard if event in events]


def test_joining_updating_and_leaving(
    open_server: LiveServer, client: NewClient, room: str
) -> None:
    ada, bob = client("ada"), client("bob")
    heard = ada.listen()
    joined = ada.call("join", room, user_data={"a": 1})
    assert (joined["ok"], joined["peer_id"], ada.state) == (True, "ada", "joined")
    assert ada.call("update", {"b": 2}, remove=["a"])["user_data"] == {"b": 2}
    bob.call("join", room)
    ada.call("wait_for", lambda c: len(c.active_peers) == 2)
    assert ada.active == ["ada", "bob"]
    assert ada.client.me["user_data"] == {"b": 2}
    left = ada.call("leave")
    assert (left["room_name"], left["reason"], left["is_active"]) == (room, "left", False)
    assert (ada.client.room_name, ada.client.peers, ada.client.version) == (None, [], 0)
    assert active(open_server, room) == {"bob": 1}
    assert ada.call("leave") is None
    ada.call("close")
    assert told(heard, "state") == ["connecting", "joined", "idle", "closed"]


def test_the_rooms_own_data_is_shared_and_counted_up_by_two_at_once(
    open_server: LiveServer, client: NewClient, room: str
) -> None:
    ada, bob = client("ada"), client("bob")
    shown: list[Any] = []
    notices: list[Any] = []
    bob.client.on("room_data", shown.append)
    bob.client.on("room_data_updated", notices.append)
    for one in (ada, bob):
        one.call("join", room)
    ada.call("update_room_data", {"slide": 1, "old": None})
    stored = ada.call("update_room_data", {}, remove=["old"])
    assert stored["room_data"] == ada.client.room_data == {"slide": 1}

    def count_up(one: Driven) -> None:
        for _ in range(10):
            one.call("update_room_data", lambda data: {"n": data.get("n", 0) + 1})

    threads = [threading.Thread(target=count_up, args=[one]) for one in (ada, bob)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for one in (ada, bob):
        one.call("wait_for", lambda c: c.room_data == {"slide": 1, "n": 20})
    late = client("late")
    late.call("join", room)
    assert late.client.room_data == {"slide": 1, "n": 20}
    eventually(lambda: shown[-1:] == [{"slide": 1, "n": 20}], "it is told")
    assert {notice["by"] for notice in notices} == {"ada", "bob"}
    assert (
        failure(ada.start("update_room_data", {"n": 0}, if_version=0)).code == "room_data_conflict"
    )
    ada.call("leave")
    assert ada.client.room_data == {}


def test_kept_broadcasts_go_on_where_a_lost_connection_ended_them(
    keeping_server: LiveServer, line: NewLine, client: NewClient, room: str
) -> None:
    to_bob = line(keeping_server)
    ada, bob = client("ada", keeping_server.url), client("bob", to_bob.url)
    heard: list[Any] = []
    bob.client.on("broadcast", lambda body: heard.append(body["data"]))
    ada.call("join", room)
    ada.call("broadcast", "chat", "before", keep=True)
    bob.call("join", room)
    for turn in range(3):
        ada.call("broadcast", "chat", f"here {turn}", keep=True)
        eventually(lambda turn=turn: f"here {turn}" in heard, "it is heard")  # type: ignore[misc]
        to_bob.shut()
        for number in range(250):
            ada.call("broadcast", "chat", (turn, number), keep=True)
        to_bob.open()
        bob.call("broadcast", "chat", "own", keep=True)
    ada.call("broadcast", "chat", "end", keep=True)
    eventually(lambda: "end" in heard, "it has caught up", 30)
    wanted: list[Any] = []
    for turn in range(3):
        wanted += [f"here {turn}", *([turn, number] for number in range(250))]
    assert heard == [*wanted, "end"]
    late = client("late", keeping_server.url)
    all_of_it: list[Any] = []
    late.client.on("broadcast", lambda body: all_of_it.append(body["data"]))
    late.call("join", room, history=True)
    eventually(lambda: "end" in all_of_it, "it has heard all", 30)
    assert [one for one in all_of_it if one != "own"] == ["before", *heard]


def test_data_is_told_once_to_who_wants_no_notices_of_it(client: NewClient, room: str) -> None:
    ada, bob = client("ada"), client("bob", data_notices=False)
    notices: list[Any] = []
    for name in ("user_data_updated", "room_data_updated"):
        bob.client.on(name, notices.append)
    for one in (ada, bob):
        one.call("join", room)
    ada.call("update", {"n": 1})
    ada.call("update_room_data", {"n": 1})
    bob.call("wait_for", lambda c: c.room_data == {"n": 1})
    assert {peer["peer_id"]: peer["user_data"] for peer in bob.client.peers}["ada"] == {"n": 1}
    assert notices == []


def test_states_are_seen_by_others_and_told_again_after_a_lost_connection(
    open_server: LiveServer, line: NewLine, client: NewClient, room: str
) -> None:
    to_ada = line(open_server)
    ada, bob = client("ada", to_ada.url), client("bob", states=True)
    for one in (ada, bob):
        one.call("join", room)
    ada.call("set_state", {"cursor": [1, 2]})
    bob.call("set_state", {"own": True})

    def shows(c: Any, state: Any) -> bool:
        return [one["state"] for one in c.states] == [state]

    bob.call("wait_for", lambda c: shows(c, {"cursor": [1, 2]}))
    to_ada.shut()
    bob.call("wait_for", lambda c: c.states == [])
    to_ada.open()
    bob.call("wait_for", lambda c: shows(c, {"cursor": [1, 2]}))
    ada.call("set_state", None)
    bob.call("wait_for", lambda c: c.states == [])
    assert ada.client.states == []


def test_changing_rooms_is_leaving_the_first(
    open_server: LiveServer, client: NewClient, room: str
) -> None:
    ada, bob = client("ada"), client("bob")
    heard = ada.listen()
    bob.call("join", f"{room}-1")
    ada.call("join", f"{room}-1")
    ada.call("join", f"{room}-2")
    eventually(lambda: "joined" in [e for e, _ in heard[-3:]] or len(heard) > 8, "it is told")

    def told_of() -> list[str]:
        return [event for event, _ in heard if event in ("joined", "left")]

    eventually(lambda: told_of() == ["joined", "left", "joined"], "both rooms are told of")
    left = told(heard, "left")[0]
    assert (left["room_name"], left["peer_id"], left["reason"]) == (f"{room}-1", "ada", "left")
    after = heard[heard.index(("left", left)) :]
    assert [p["peer_id"] for p in told(after, "peer_left")] == ["bob", "ada"]
    assert active(open_server, f"{room}-1") == {"bob": 1}
    assert active(open_server, f"{room}-2") == {"ada": 1}


def test_who_is_refused_in_the_second_room_is_in_none(
    open_server: LiveServer, client: NewClient, room: str
) -> None:
    ada = client("ada")
    ada.call("join", room)
    assert ada.fails("join", "x" * 200).code == "invalid_field"
    assert (ada.state, ada.client.room_name) == ("idle", None)
    assert active(open_server, room) == {}


def test_joining_the_same_room_again_adds_to_it(
    open_server: LiveServer, client: NewClient, room: str
) -> None:
    ada = client("ada")
    heard = ada.listen()
    ada.call("join", room, user_data={"a": 1})
    assert ada.call("join", room, user_data={"b": 2})["peers"][0]["user_data"] == {"a": 1, "b": 2}
    assert ada.fails("join", room, user_data={"x": "y" * 20_000}).code == "user_data_too_large"
    assert (ada.state, active(open_server, room)) == ("joined", {"ada": 1})
    assert told(heard, "left") == []


def test_a_join_that_is_overtaken_is_withdrawn(
    open_server: LiveServer, client: NewClient, room: str
) -> None:
    ada = client("ada")
    with ada.one_turn():
        calls = [ada.start("join", f"{room}-{number}") for number in range(5)]
    assert [failure(call).code for call in calls[:-1]] == ["superseded"] * 4
    assert calls[-1].result(10)["room_name"] == f"{room}-4"
    assert ada.client.room_name == f"{room}-4"
    assert [active(open_server, f"{room}-{n}") for n in range(5)] == [{}] * 4 + [{"ada": 1}]


def test_leaving_withdraws_the_join_that_is_under_way(
    open_server: LiveServer, client: NewClient, room: str
) -> None:
    ada = client("ada")
    for connects_first in (False, True):
        if connects_first:
            ada.call("connect")
        with ada.one_turn():
            joining = ada.start("join", room)
            leaving = ada.start("leave")
        assert leaving.result(60) is None
        assert failure(joining).code == "left"
        assert (ada.state, active(open_server, room)) == ("idle", {})
    ada.call("join", room)
    assert active(open_server, room) == {"ada": 1}


def test_closing_in_the_tick_of_joining_leaves_nobody_behind(
    open_server: LiveServer, client: NewClient, room: str
) -> None:
    for connects_first in (False, True):
        ada = client("ada")
        if connects_first:
            ada.call("connect")
        with ada.one_turn():
            joining = ada.start("join", room)
            closing = ada.start("close")
        closing.result(60)
        assert failure(joining).code == "closed"
        assert (ada.state, active(open_server, room)) == ("closed", {})
        assert ada.fails("join", room).code == "closed"
        assert ada.fails("leave").code == "closed"
        ada.call("close")


def test_another_client_joins_at_once_after_one_was_closed_while_connecting(
    open_server: LiveServer, client: NewClient, room: str
) -> None:
    first, second = client("ada"), client("ada")
    with first.one_turn():
        joining = first.start("join", room)
        closing = first.start("close")
    closing.result(60)
    second.call("join", room)
    assert failure(joining).code == "closed"
    assert active(open_server, room) == {"ada": 1}


def test_everything_that_waits_ends_when_the_client_is_closed(
    open_server: LiveServer, client: NewClient, line: NewLine, room: str
) -> None:
    wire = line(open_server)
    ada = client("ada", url=wire.url)
    ada.call("join", room)
    wire.hold()
    calls: list[Future[Any]] = [
        ada.start("update", {"a": 1}),
        ada.start("signal", "ada", 1),
        ada.start("rooms"),
        ada.start("upload", b"words", name="n.txt"),
        ada.start("watch"),
        ada.start("join", f"{room}-2"),
        ada.start("wait_for", lambda c: False),
    ]
    assert timed(lambda: ada.call("close")) < 6
    assert [failure(call).code for call in calls] == ["closed"] * len(calls)
    wire.open()
    for name in (room, f"{room}-2"):
        eventually(lambda name=name: active(open_server, name) == {}, f"it has left {name}")  # type: ignore[misc]


def fill(client: NewClient, server: LiveServer, room: str) -> list[Driven]:
    """Take every place of a room."""
    places = int(server.settings["PRESENCE_MAX_PEERS"])
    inside = [client(f"guest-{number}") for number in range(places)]
    for one in inside:
        one.call("join", room)
    return inside


def test_a_full_room_is_refused_or_waited_for(
    open_server: LiveServer, client: NewClient, room: str
) -> None:
    guest, *others = fill(client, open_server, room)
    ada = client("ada", timeout=1.0)
    assert ada.fails("join", room).code == "room_full"
    assert ada.state == "idle"

    waiting = ada.start("join", room, wait_for_place=True)
    eventually(lambda: ada.state == "connecting", "it waits")
    wait([waiting], timeout=1.5)
    assert not waiting.done(), "it waits longer than other calls"
    guest.call("leave")
    assert waiting.result(10)["active_peers"] == 3

    guest.fails("join", room)
    withdrawn = guest.start("join", room, wait_for_place=True)
    assert guest.call("leave") is None
    assert failure(withdrawn).code == "left"
    timed_out = guest.fails("join", room, wait_for_place=True, timeout=0.5)
    assert timed_out.code == "room_full"
    for one in (ada, *others):
        one.call("leave")
    assert (guest.state, active(open_server, room)) == ("idle", {})


def test_leaving_while_waiting_for_ones_place_again_is_for_good(
    open_server: LiveServer, client: NewClient, line: NewLine, room: str
) -> None:
    wire = line(open_server)
    first, *others = fill(client, open_server, room)
    first.call("leave")
    ada, bob = client("ada", url=wire.url, timeout=2.0), client("bob")
    heard = ada.listen()
    ada.call("join", room)
    wire.shut()
    eventually(lambda: ada.state == "reconnecting", "the connection is lost")
    bob.call("join", room, wait_for_place=True)
    wire.open()
    eventually(lambda: "room_full" in [e.code for e in told(heard, "error")], "no place is left")
    assert ada.fails("join", room).code == "room_full", "a call that is not to wait ends"
    assert (ada.state, ada.client.room_name) == ("reconnecting", room)
    assert ada.call("leave")["reason"] == "left"
    for one in (bob, *others):
        one.call("leave")
    assert (ada.state, active(open_server, room)) == ("idle", {})


def test_leaving_while_the_connection_is_away_is_for_good(
    open_server: LiveServer, client: NewClient, line: NewLine, room: str
) -> None:
    wire = line(open_server)
    ada = client("ada", url=wire.url)
    ada.call("join", room)
    wire.shut()
    eventually(lambda: ada.state == "reconnecting", "the connection is lost")
    waiting = ada.start("update", {"a": 1})
    assert ada.call("leave")["room_name"] == room
    assert failure(waiting).code == "not_joined"
    wire.open()
    assert ada.state == "idle"
    ada.call("connect")
    assert active(open_server, room) == {}


def test_a_connection_that_flaps_while_the_rejoin_is_on_its_way_is_no_refusal(
    open_server: LiveServer, client: NewClient, line: NewLine, room: str
) -> None:
    wire = line(open_server)
    ada = client("ada", url=wire.url)
    heard = ada.listen()
    ada.call("join", room, user_data={"kept": True})
    for _ in range(15):
        made = wire.made
        wire.cut()
        eventually(lambda made=made: wire.made > made, "it connects again", 30)  # type: ignore[misc]
    ada.call("wait_for", lambda c: c.state == "joined" and c.is_connected, 20)
    assert (told(heard, "left"), told(heard, "error")) == ([], [])
    assert ada.client.me["user_data"] == {"kept": True}
    eventually(lambda: active(open_server, room) == {"ada": 1}, "one connection counts", 20)


def test_a_join_that_timed_out_is_withdrawn(
    open_server: LiveServer, client: NewClient, line: NewLine, room: str
) -> None:
    wire = line(open_server)
    ada = client("ada", url=wire.url, timeout=1.0)
    ada.call("connect")
    wire.hold()
    assert ada.fails("join", room).code == "timeout"
    assert ada.state == "idle"
    wire.open()
    ada.call("join", f"{room}-2")
    assert active(open_server, room) == {}
    assert active(open_server, f"{room}-2") == {"ada": 1}


def test_leaving_a_server_that_does_not_answer_ends_all_the_same(
    open_server: LiveServer, client: NewClient, line: NewLine, room: str
) -> None:
    wire = line(open_server)
    ada = client("ada", url=wire.url, timeout=1.0)
    ada.call("join", room)
    wire.hold()
    assert ada.call("leave")["reason"] == "left"
    wire.open()
    eventually(lambda: active(open_server, room) == {}, "the server hears of it")
    assert ada.state == "idle"


def test_a_server_that_is_not_there_is_unreachable_and_may_come_later(
    open_server: LiveServer, client: NewClient, line: NewLine, room: str
) -> None:
    wire = line(open_server)
    wire.shut()
    ada = client("ada", url=wire.url, timeout=0.5)
    for call in ("connect", "rooms"):
        assert ada.fails(call).code == "unreachable"
    assert ada.fails("join", room).code == "unreachable"
    assert ada.state == "idle"
    made = wire.made
    later = client("bob", url=wire.url)
    joining = later.start("join", room)
    wire.open()
    assert joining.result(10)["peer_id"] == "bob"
    assert wire.made > made
    assert active(open_server, room) == {"bob": 1}, "who gave up does not come"


def test_what_is_called_while_the_connection_is_away_waits_for_it(
    open_server: LiveServer, client: NewClient, line: NewLine, room: str
) -> None:
    wire = line(open_server)
    ada, bob = client("ada", url=wire.url), client("bob")
    heard = bob.listen()
    bob.call("join", room)
    ada.call("join", room)
    wire.shut()
    eventually(lambda: ada.state == "reconnecting", "the connection is lost")
    calls = [ada.start("update", {"a": 1}), ada.start("signal", "bob", "hi")]
    wire.open()
    assert calls[0].result(10)["user_data"] == {"a": 1}
    assert calls[1].result(10)["status"] == "delivered"
    eventually(lambda: told(heard, "signal"), "the signal arrives")


def test_a_call_without_a_room_says_so(client: NewClient, room: str) -> None:
    ada = client("ada")
    calls: list[tuple[str, Any]] = [("update", {}), ("broadcast", "x"), ("room", None)]
    for name, value in calls:
        assert ada.fails(name, value).code == "not_joined"
    assert ada.fails("join", room, user_data={"x": object()}).code == "invalid_field"
    assert ada.state == "idle"


def test_a_call_is_cancelled_with_what_it_asked_for(
    open_server: LiveServer, line: NewLine, room: str
) -> None:
    wire = line(open_server)
    wire.shut()

    async def main() -> None:
        async with asyncio.timeout(10):
            ada = AsyncClient(wire.url, peer_id="ada")
            joining = asyncio.create_task(ada.join(room))
            await asyncio.sleep(0)
            assert ada.state == "connecting"
            joining.cancel()
            await asyncio.wait({joining})
            assert joining.cancelled()
            assert str(ada.state) == "idle"
            wire.open()
            await ada.connect()
            assert active(open_server, room) == {}
            await ada.close()

    asyncio.run(main())


def test_threads_may_call_at_once(client: NewClient, room: str) -> None:
    ada = client("ada")
    ada.call("join", room)
    calls = [ada.start("update", {f"k{number}": number}) for number in range(50)]
    for call in calls:
        call.result(20)
    assert len(ada.call("room")["peers"][0]["user_data"]) == 50
    assert threading.active_count() < 60
