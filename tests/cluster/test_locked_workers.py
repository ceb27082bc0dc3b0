"""Several locked workers: what an admin does at one holds at the others, on PostgreSQL."""

from __future__ import annotations

import time

from local_cluster.private_cluster import NewCluster
from local_cluster.waiting import eventually
from tests.support.callers import ROOMS, admin, ask, join
from tests.support.clients import KINDS, PythonClient, events, hears, shows
from tests.support.keys import LOCKED, token


def test_bans_closed_rooms_and_patterns_hold_at_every_worker(
    new_cluster: NewCluster, room: str
) -> None:
    one, two = new_cluster(2, **LOCKED).workers
    ada = KINDS["javascript"](one.url, None, {"token": token("ada", room)})
    bob = KINDS["python"](two.url, None, {"token": token("bob", f"{room}*")})
    for client, peer_id in ((ada, "ada"), (bob, "bob")):
        assert client.call("join_room", join(room, peer_id))["ok"]

    # Kicked at one worker, out at the other.
    path = f"{ROOMS}/{room}"
    assert ask(two, "POST", f"{path}/peers/ada/kick", admin(room)).ok
    assert hears(ada, "leave_room_success")["reason"] == "kicked"
    shows(bob, "ada", is_active=False)
    assert ada.call("signal", {"to": "bob", "data": 1})["code"] == "not_joined"
    assert ada.call("join_room", join(room, "ada"))["ok"]

    assert ask(two, "POST", f"{path}/peers/ada/ban", admin(room), json={}).ok
    hears(ada, "leave_room_success", lambda body: body["reason"] == "banned")
    assert ada.call("join_room", join(room, "ada"))["code"] == "banned"
    rest = ask(one, "POST", f"{path}/join", token("ada", "*"), json=join(room, "ada"))
    assert rest.json()["code"] == "banned"

    # Who was banned at one worker hears nothing at the other of a room that it watched.
    eve = KINDS["python"](one.url, None, {"token": token("eve", room)})
    zoe = KINDS["python"](one.url, None, {"token": token("zoe", room)})
    for client in (eve, zoe):
        assert client.call("watch", {"room_name": room})["ok"]
    assert ask(two, "POST", f"{path}/peers/eve/ban", admin(room), json={}).ok
    joined = ask(two, "POST", f"{path}/join", token("dan", room), json=join(room, "dan")).json()
    assert ask(two, "POST", f"{path}/leave?peer_id=dan", token("dan", room)).ok
    hears(zoe, "room_changed", lambda body: body["version"] > joined["version"])
    assert eve.call("watch", {"room_name": room})["code"] == "banned"
    heard = [body["version"] for body in events(eve, "room_changed")]
    assert not [version for version in heard if version >= joined["version"]]
    for client in (eve, zoe):
        client.disconnect()

    assert ask(one, "POST", f"{path}/close", admin(room), json={}).json()["put_out"] == ["bob"]
    hears(bob, "leave_room_success", lambda body: body["reason"] == "room_closed")
    assert bob.call("join_room", join(room, "bob"))["code"] == "room_closed"

    # Patterns mean the same in PostgreSQL's words as in SQLite's.
    special = f"{room}-50%_[a]?"
    made = token("carol", rf"{room}-\**", "admin")
    assert ask(one, "POST", f"{ROOMS}/{room}-*1/join", made, json=join(f"{room}-*1", "carol")).ok
    everything = token("root", "*", "admin")
    body = {**join(special, "carol")}
    body.pop("room_name")
    address = f"{ROOMS}/{special.replace('%', '%25').replace('?', '%3F')}/join"
    assert ask(one, "POST", address, everything, json=body).ok
    for pattern, sees, does_not in (
        (special, special, f"{room}-*1"),
        (rf"{room}-\**", f"{room}-*1", special),
        (f"{room}-50%*", special, f"{room}-*1"),
        (f"{room}-5_*", None, special),
        (f"{room.upper()}*", None, special),
    ):
        page = ask(two, "GET", "/fragments/rooms", token("eve", pattern, "list")).text
        assert sees is None or f"<bdi>{sees}</bdi>" in page, pattern
        assert f"<bdi>{does_not}</bdi>" not in page, pattern

    ada.disconnect()
    bob.disconnect()

    # Taken back at one worker, ended at the other.
    made = token("last", special, "list")
    last = KINDS["python"](one.url, None, {"token": made})
    assert ask(two, "POST", "/api/webrtc/tokens/revoke", everything, json={"peer_id": "last"}).ok
    hears(last, "token_revoked", seconds=3)
    assert ask(one, "GET", ROOMS, made).json()["code"] == "token_revoked"


def test_what_is_taken_is_gone_at_three_workers_within_seconds_also_without_redis(
    new_cluster: NewCluster, room: str
) -> None:
    cluster = new_cluster(3, **LOCKED)
    one, two, _ = cluster.workers

    def come(name: str) -> tuple[str, list[PythonClient]]:
        """Let a peer be in the room by every worker; return its token and its sockets."""
        made = token(name, room)
        clients = [
            PythonClient(worker.url, ["websocket"], {"token": made}) for worker in cluster.workers
        ]
        for client in clients:
            assert client.call("join_room", join(room, name))["ok"]
        return made, clients

    def regrant(name: str, grants: list[str] | None) -> float:
        path = f"{ROOMS}/{room}/peers/{name}/grants"
        assert ask(one, "POST", path, admin(room), json={"grants": grants}).ok
        return time.monotonic()

    def may_speak(client: PythonClient) -> bool:
        return bool(client.call("broadcast", {"event": "e", "data": 1})["ok"])

    def all_are(clients: list[PythonClient], speaks: bool) -> bool:
        return all(may_speak(client) == speaks for client in clients)

    people = {name: come(name) for name in ("ada", "bob", "cyd")}
    _, own = people["ada"]
    regrant("ada", ["list"])
    assert not any(may_speak(client) for client in own[:1]), "where it was said, at once"
    for client in own[1:]:
        hears(client, "grants_changed", lambda body: body["grants"] == ["join", "list"], seconds=2)
    assert all_are(own, False)
    for worker in cluster.workers:
        query = f"{ROOMS}/{room}/update-data?peer_id=ada"
        answer = ask(worker, "POST", query, people["ada"][0], json={"user_data": {}})
        assert answer.json()["code"] == "not_granted"

    def revoke(name: str, seconds: float) -> None:
        made, clients = people[name]
        began = time.monotonic()
        assert ask(two, "POST", "/api/webrtc/tokens/revoke", admin(room), json={"peer_id": name}).ok
        for client in clients:
            hears(client, "token_revoked", seconds=seconds)

        def is_refused_everywhere() -> bool:
            answers = [ask(worker, "GET", f"{ROOMS}/{room}", made) for worker in cluster.workers]
            return all(answer.json().get("code") == "token_revoked" for answer in answers)

        eventually(is_refused_everywhere, "no worker takes the token", seconds)
        assert time.monotonic() - began < seconds + 1
        for client in clients:
            client.disconnect()

    revoke("bob", 2)
    cluster.redis.stop()
    began = regrant("ada", None)
    eventually(lambda: all_are(own, True), "known without Redis", 3)
    assert time.monotonic() - began < 4
    revoke("cyd", 3)
    regrant("ada", [])
    eventually(lambda: all_are(own, False), "known without Redis", 3)
    cluster.redis.start()
    two.kill()
    two.start()
    again = PythonClient(two.url, ["websocket"], {"token": people["ada"][0]})
    assert again.call("join_room", join(room, "ada"))["grants"] == ["join"]
    assert not may_speak(again)
    for client in (*own, again):
        client.disconnect()


def test_who_waits_at_one_worker_is_admitted_at_another_also_without_redis(
    new_cluster: NewCluster, room: str
) -> None:
    cluster = new_cluster(2, **LOCKED)
    one, two = cluster.workers
    place = f"{ROOMS}/{room}"
    assert ask(one, "PUT", place, admin(room), json={"lobby": True, "max_peers": 3}).ok
    host = PythonClient(one.url, ["websocket"], {"token": admin(room)})
    assert host.call("join_room", join(room, "host"))["ok"]

    def knock(name: str) -> PythonClient:
        client = PythonClient(two.url, ["websocket"], {"token": token(name, room)})
        assert client.call("join_room", join(room, name))["code"] == "waiting"
        hears(host, "peer_waiting", lambda body: body["peer_id"] == name, seconds=4)
        return client

    def say(name: str, what: str) -> str:
        answer = ask(one, "POST", f"{place}/knocking/{name}/{what}", admin(room), json={}).json()
        return str(answer.get("code", "done"))

    ada = knock("ada")
    assert say("ada", "admit") == "done"
    hears(ada, "join_room_success", seconds=2)
    shows(host, "ada", is_active=True)
    assert ada.call("signal", {"to": "host", "data": 1})["ok"]

    cluster.redis.stop()
    bob, cyd = knock("bob"), knock("cyd")
    assert say("bob", "refuse") == "done"
    hears(bob, "join_room_error", lambda body: body["code"] == "admission_refused", seconds=4)
    assert say("cyd", "admit") == "done"
    hears(cyd, "join_room_success", seconds=4)
    assert bob.call("join_room", join(room, "bob"))["code"] == "waiting"
    assert say("bob", "admit") == "room_full"
    # Whoever waits goes with the worker that holds its connection.
    two.kill()
    eventually(
        lambda: ask(one, "GET", f"{place}/knocking", admin(room)).json()["knocking"] == [],
        "nobody waits any more",
        30,
    )
    for client in (host, ada, bob, cyd):
        client.disconnect()
