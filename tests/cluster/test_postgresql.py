"""One process on PostgreSQL: what happens when the database restarts, hangs or is locked."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable
from typing import Any

import psycopg2
import requests

from local_cluster.live_server import LiveServer
from local_cluster.private_postgresql import PrivatePostgresql, database_name
from local_cluster.waiting import eventually
from tests.support.clients import events, hears, shows
from tests.support.rest import Rest, refusal

NewServer = Callable[..., LiveServer]
Connect = Callable[..., Any]


def on(postgresql: PrivatePostgresql, new_server: NewServer, **settings: Any) -> LiveServer:
    return new_server(DATABASE_URL=postgresql.new_database(), **settings)


def test_a_restart_of_the_database_loses_nothing_acknowledged_and_needs_none_of_ours(
    postgresql: PrivatePostgresql, new_server: NewServer, connect: Connect
) -> None:
    server = on(postgresql, new_server)
    client = connect(server)
    client.call("join_room", {"room_name": "r", "peer_id": "a", "username": "A"})
    acknowledged: list[int] = []
    refused: list[str] = []
    done = threading.Event()

    def write() -> None:
        number = 0
        while not done.is_set():
            number += 1
            answer = client.call("update_user_data", {"user_data": {f"k{number}": number}})
            if answer["ok"]:
                acknowledged.append(number)
            else:
                refused.append(answer["code"])

    writer = threading.Thread(target=write)
    writer.start()
    try:
        eventually(lambda: len(acknowledged) > 20, "writes are acknowledged")
        postgresql.restart()
        before = len(acknowledged)
        eventually(lambda: len(acknowledged) > before + 20, "writes are acknowledged again")
    finally:
        done.set()
        writer.join()
    assert set(refused) <= {"storage_unavailable"}
    stored = Rest(server).peer("r", "a")["user_data"]
    assert {f"k{number}" for number in acknowledged} <= stored.keys()
    assert client.connected
    assert shows(client, "a", is_active=True)


def test_while_the_database_hangs_every_request_is_answered_and_no_connection_is_lost(
    postgresql: PrivatePostgresql, new_server: NewServer, connect: Connect
) -> None:
    server = on(postgresql, new_server)
    alice, bob = connect(server), connect(server, "javascript")
    for client, name in ((alice, "alice"), (bob, "bob")):
        client.call("join_room", {"room_name": "r", "peer_id": name, "username": name})
    postgresql.freeze()
    try:
        began = time.monotonic()
        answer = alice.call("update_user_data", {"user_data": {"a": 1}})
        assert answer["code"] == "storage_unavailable"
        assert refusal(Rest(server).get("/rooms/r")) == (503, "storage_unavailable")
        assert time.monotonic() - began < 8
        # What needs no database goes on meanwhile.
        assert alice.call("signal", {"to": "bob", "data": "hello"})["status"] == "delivered"
    finally:
        postgresql.thaw()
    hears(bob, "signal")

    def works() -> bool:
        return bool(alice.call("update_user_data", {"user_data": {"a": 2}})["ok"])

    eventually(works, "it works again without a restart")
    hears(bob, "user_data_updated", lambda body: body["user_data"] == {"a": 2})
    assert alice.connected
    assert bob.connected
    assert Rest(server).get("/rooms/r").json()["active_peer_count"] == 2


def test_a_room_that_somebody_else_has_locked_is_answered_with_503_and_the_others_go_on(
    postgresql: PrivatePostgresql, new_server: NewServer
) -> None:
    server = on(postgresql, new_server)
    rest = Rest(server)
    rest.join("locked", "a")
    rest.join("free", "a")
    name = database_name(server.settings["DATABASE_URL"])
    holder = psycopg2.connect(host=str(postgresql.folder), user="presence", dbname=name)
    with holder.cursor() as cursor:
        cursor.execute("SELECT 1 FROM rooms WHERE name = 'locked' FOR UPDATE")
    answers: list[requests.Response] = []
    waiting = [
        threading.Thread(target=lambda: answers.append(rest.join("locked", "b"))) for _ in range(20)
    ]
    for thread in waiting:
        thread.start()
    began = time.monotonic()
    assert rest.join("free", "b").status_code == 200
    assert time.monotonic() - began < 2, "twenty that wait take no connection each"
    eventually(lambda: answers, "the first is answered")
    assert refusal(answers[0]) == (503, "storage_unavailable")
    holder.close()
    for thread in waiting:
        thread.join()
    assert rest.join("locked", "b").status_code == 200
    assert "Traceback" not in server.log_text()


def test_updates_wait_for_no_room_but_their_own(
    postgresql: PrivatePostgresql, new_server: NewServer, connect: Connect
) -> None:
    server = on(postgresql, new_server)
    clients = {}
    for number in range(6):
        clients[number] = connect(server)
        room = "locked" if number < 2 else f"free {number}"
        body = {"room_name": room, "peer_id": f"p{number}", "username": "P"}
        assert clients[number].call("join_room", body)["ok"]
    name = database_name(server.settings["DATABASE_URL"])
    holder = psycopg2.connect(host=str(postgresql.folder), user="presence", dbname=name)
    done = threading.Event()
    answers: dict[int, list[tuple[str | None, float]]] = {number: [] for number in clients}

    def write(number: int) -> None:
        while not done.is_set():
            began = time.monotonic()
            data = {"times": len(answers[number])}
            answer = clients[number].call("update_user_data", {"user_data": data})
            answers[number].append((answer.get("code"), began))

    writers = [threading.Thread(target=write, args=[number]) for number in clients]
    try:
        with holder.cursor() as cursor:
            cursor.execute("SELECT 1 FROM rooms WHERE name = 'locked' FOR UPDATE")
        for number in (0, 2, 3, 4, 5):
            writers[number].start()
        eventually(lambda: all(map(answers.get, range(2, 6))), "the others are answered")
        writers[1].start()  # finds its room held in the process, too
        eventually(lambda: answers[0] or answers[1], "one that waits is answered")
        answered_at = time.monotonic()
        assert [code for code, _ in answers[0] + answers[1]] == ["storage_unavailable"]
        for number in range(2, 6):
            codes, began = zip(*answers[number], strict=True)
            assert set(codes) == {None}
            gaps = [after - before for before, after in itertools.pairwise([*began, answered_at])]
            assert max(gaps) < 1.5, "less than the locked room is waited for"
        holder.close()
        eventually(lambda: answers[0] and answers[0][-1][0] is None, "it works again")
    finally:
        holder.close()
        done.set()
        for writer in filter(threading.Thread.is_alive, writers):
            writer.join()
    rest = Rest(server)
    for number, client in clients.items():
        assert client.connected
        room = "locked" if number < 2 else f"free {number}"
        good = [times for times, (code, _) in enumerate(answers[number]) if code is None]
        assert rest.peer(room, f"p{number}")["user_data"] == {"times": good[-1]}


def test_few_connections_serve_many_rooms_at_once(
    postgresql: PrivatePostgresql, new_server: NewServer
) -> None:
    server = on(postgresql, new_server, PRESENCE_DATABASE_CONNECTIONS=2)
    rest = Rest(server)
    statuses: list[int] = []
    threads = [
        threading.Thread(
            target=lambda n=number: statuses.append(
                rest.join(f"room {n % 10}", f"p{n}").status_code
            )
        )
        for number in range(60)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert statuses == [200] * 60


def test_peers_of_a_killed_process_are_inactive_soon_after_it_starts_again(
    postgresql: PrivatePostgresql, new_server: NewServer, connect: Connect
) -> None:
    server = on(postgresql, new_server)
    connect(server).call("join_room", {"room_name": "r", "peer_id": "a", "username": "A"})
    server.kill()
    server.start()
    watcher = connect(server)
    watcher.call("join_room", {"room_name": "r", "peer_id": "watcher", "username": "W"})
    hears(
        watcher,
        "peer_list_updated",
        lambda body: [peer["is_active"] for peer in body["peers"]] == [False, True],
        seconds=15,
    )
    assert events(watcher, "peer_list_updated")[-1]["active_peers"] == 1
