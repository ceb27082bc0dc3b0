"""A cluster whose parts are killed, frozen and restarted while clients go on.

PRESENCE_TEST_ROUNDS makes campaigns of these tests, and PRESENCE_TEST_OUTAGE is how many seconds
Redis is away.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import requests

from local_cluster.private_cluster import NamedWorker, NewCluster, PrivateCluster
from local_cluster.private_postgresql import database_name
from local_cluster.waiting import eventually
from tests.support.clients import PythonClient, events, hears, shows
from tests.support.rest import Rest

ROUNDS = int(os.environ.get("PRESENCE_TEST_ROUNDS", "1"))
# The seconds between two writes of a writer. Few leave the machine to the workers that come and go.
PACE = 0.1 if ROUNDS == 1 else 0.02
OUTAGE = float(os.environ.get("PRESENCE_TEST_OUTAGE", "5"))
# The campaigns take as long as they take.
pytestmark = pytest.mark.timeout(300 + 60 * ROUNDS + 10 * OUTAGE)

Connect = Callable[..., Any]


def join(client: Any, peer_id: str, room: str = "r", **more: Any) -> Any:
    message = {"room_name": room, "peer_id": peer_id, "username": peer_id, **more}
    answer = client.call("join_room", message)
    assert answer["ok"], answer
    return client


def report(text: str) -> None:
    """Say what was measured; shown with ``pytest -s`` or where a test fails."""
    print(f"\n  {text}", flush=True)


def test_of_200_that_join_over_two_workers_exactly_100_get_in(new_cluster: NewCluster) -> None:
    # So many rounds are more requests than one address may make.
    cluster = new_cluster(PRESENCE_MAX_PEERS=100, PRESENCE_REQUESTS_PER_MINUTE=0)
    session = requests.Session()

    def post(number: int, verb: str, **arguments: Any) -> int:
        url = f"{cluster.workers[number % 2].url}/api/webrtc/rooms/r/{verb}"
        return session.post(url, timeout=60, **arguments).status_code

    def enter(number: int) -> int:
        peer = {"peer_id": f"peer {number}", "username": "P"}
        return post(number, "join", json=peer)

    for round_ in range(max(2, ROUNDS)):
        with ThreadPoolExecutor(20) as pool:
            statuses = list(pool.map(enter, range(200)))
            assert (statuses.count(200), statuses.count(409)) == (100, 100), f"round {round_}"
            for worker in cluster.workers:
                body = Rest(worker).get("/rooms/r").json()
                assert body["active_peer_count"] == 100
                assert sum(peer["is_active"] for peer in body["peers"]) == 100
            inside = [number for number, status in enumerate(statuses) if status == 200]
            list(
                pool.map(
                    lambda n: post(n, "leave", params={"peer_id": f"peer {n}"}), inside, chunksize=5
                )
            )
    assert "deadlock" not in cluster.postgresql.log_text()


def test_a_room_that_is_made_and_removed_at_once_keeps_nobody_waiting_for_another(
    new_cluster: NewCluster,
) -> None:
    cluster = new_cluster(PRESENCE_REQUESTS_PER_MINUTE=0)
    room = "/api/webrtc/rooms/r"

    def act(number: int) -> int:
        url = f"{cluster.workers[number % 2].url}{room}"
        if number % 3 == 0:
            return requests.delete(url, timeout=60).status_code
        peer = {"peer_id": f"peer {number}", "username": "P"}
        return requests.post(f"{url}/join", json=peer, timeout=60).status_code

    with ThreadPoolExecutor(12) as pool:
        statuses = list(pool.map(act, range(300 * ROUNDS)))
    assert set(statuses) <= {200, 404}
    assert "deadlock" not in cluster.postgresql.log_text()


def test_when_a_worker_is_killed_its_peers_are_inactive_soon_and_its_clients_back_elsewhere(
    new_cluster: NewCluster, connect: Connect
) -> None:
    cluster = new_cluster(3)
    slowest = 0.0
    for round_ in range(ROUNDS):
        room = f"r{round_}"
        back = join(connect(cluster, "javascript"), "back", room, user_data={"kept": True})
        held_by = back.call("signal", {"to": "back", "data": 1})["to_session"]
        victim = cluster.worker_of(held_by)
        watcher, neighbour = (join(connect(w), w.name, room) for w in cluster.others(victim))
        gone = join(connect(victim), "gone", room)
        shows(watcher, "gone", is_active=True)

        victim.kill()
        killed = time.monotonic()
        shows(watcher, "gone", is_active=False, seconds=12)
        slowest = max(slowest, time.monotonic() - killed)
        # Its old session has ended with the worker, so it is active by a new one.
        peer = shows(watcher, "back", is_active=True, seconds=12)
        assert peer["user_data"] == {"kept": True}
        assert watcher.connected
        assert neighbour.connected
        name = cluster.others(victim)[0].name
        assert neighbour.call("signal", {"to": name, "data": 1})["status"] == "delivered"
        for client in (watcher, neighbour, back, gone):
            client.disconnect()
        victim.start()
    report(f"killed {ROUNDS} times: inactive after {slowest:.1f} s at the latest")


@pytest.mark.parametrize("way", ["stopped", "frozen"])
def test_without_redis_workers_stay_lists_are_at_most_3_s_old_and_signals_are_honest(
    new_cluster: NewCluster, connect: Connect, way: str
) -> None:
    cluster = new_cluster()
    alice = join(connect(cluster.workers[0]), "alice")
    beside = join(connect(cluster.workers[0]), "beside")
    bob = join(connect(cluster.workers[1]), "bob")
    shows(alice, "bob", is_active=True)
    assert alice.call("signal", {"to": "bob", "data": "before"})["status"] == "delivered"
    assert hears(bob, "signal")["data"] == "before"

    if way == "stopped":
        cluster.redis.stop()
    else:
        cluster.redis.signal(signal.SIGSTOP)
    began = time.monotonic()
    number, slowest_answer, oldest_list = 0, 0.0, 0.0
    delivered, codes = [], set()
    while time.monotonic() - began < OUTAGE:
        number += 1
        asked = time.monotonic()
        answer = alice.call("signal", {"to": "bob", "data": number})
        slowest_answer = max(slowest_answer, time.monotonic() - asked)
        codes.add(answer.get("code", answer.get("status")))
        if answer["ok"]:
            delivered.append(number)
        assert alice.call("signal", {"to": "beside", "data": number})["status"] == "delivered"
        asked = time.monotonic()
        alice.call("update_user_data", {"user_data": {"n": number}})
        slowest_answer = max(slowest_answer, time.monotonic() - asked)
        wait_for_list(bob, number)
        oldest_list = max(oldest_list, time.monotonic() - asked)
    assert codes <= {"unreachable", "unconfirmed"}, codes
    assert delivered == []
    assert slowest_answer < 2.5
    assert oldest_list < 3.5
    assert alice.connected
    assert bob.connected

    if way == "stopped":
        cluster.redis.start()
    else:
        cluster.redis.signal(signal.SIGCONT)
    restored = time.monotonic()

    def signals_again() -> bool:
        return bool(alice.call("signal", {"to": "bob", "data": "after"})["ok"])

    eventually(signals_again, "signals are delivered again", 10, interval=0.1)
    hears(bob, "signal", lambda body: body["data"] == "after")
    report(
        f"Redis {way} for {OUTAGE:g} s: answers within {slowest_answer:.1f} s, lists within "
        f"{oldest_list:.1f} s, signals again after {time.monotonic() - restored:.1f} s"
    )
    for worker in cluster.workers:
        assert "Traceback" not in worker.log_text()
    assert len(events(beside, "signal")) == number


def wait_for_list(client: Any, number: int) -> None:
    """Wait until a client has a list in which alice, who came first, has set `n` to this number."""
    hears(
        client,
        "peer_list_updated",
        lambda body: body["peers"][0]["user_data"].get("n") == number,
        seconds=6,
    )


def test_who_was_taken_out_while_redis_was_away_hears_of_it_afterwards(
    new_cluster: NewCluster, connect: Connect
) -> None:
    cluster = new_cluster()
    bob = join(connect(cluster.workers[1]), "bob")
    cluster.redis.stop()
    assert Rest(cluster.workers[0]).post("/rooms/r/leave?peer_id=bob").ok
    hears(bob, "leave_room_success", seconds=10)
    assert bob.call("update_user_data", {"user_data": {}})["code"] == "not_joined"


def test_a_late_word_of_another_worker_takes_nobody_out_of_the_next_room(
    new_cluster: NewCluster, connect: Connect
) -> None:
    cluster = new_cluster()
    bob = join(connect(cluster.workers[1]), "bob")
    here = Rest(cluster.workers[1])
    cluster.redis.signal(signal.SIGSTOP)
    try:
        leaving = threading.Thread(
            target=Rest(cluster.workers[0]).post, args=["/rooms/r/leave?peer_id=bob"]
        )
        leaving.start()
        eventually(lambda: not here.peer("r", "bob")["is_active"], "bob was put out")
        body = {"room_name": "next", "peer_id": "bob", "username": "Bob"}
        assert bob.call("join_room", body)["ok"]
    finally:
        cluster.redis.signal(signal.SIGCONT)
    leaving.join()
    hears(bob, "leave_room_success", lambda body: body["room_name"] == "r", seconds=10)
    assert bob.call("signal", {"to": "bob", "data": "still here"})["ok"]


class Writers:
    """Clients that write through the proxy all the time, and remember what was acknowledged."""

    def __init__(self, cluster: PrivateCluster, count: int) -> None:
        self.acknowledged: dict[str, list[int]] = {f"writer{n}": [] for n in range(count)}
        self.refused: set[int] = set()
        self._done = threading.Event()
        self._rest = Rest(cluster)  # type: ignore[arg-type]
        for name in self.acknowledged:
            assert self._rest.join("r", name).ok
        self._threads = [threading.Thread(target=self._write, args=[n]) for n in self.acknowledged]
        for thread in self._threads:
            thread.start()

    def _write(self, name: str) -> None:
        number = 0
        while not self._done.wait(PACE):
            number += 1
            body = {"user_data": {"n": number}}
            try:
                answer = self._rest.post(f"/rooms/r/update-data?peer_id={name}", body)
            except requests.RequestException:
                continue
            if answer.ok:
                self.acknowledged[name].append(number)
            else:
                self.refused.add(answer.status_code)

    def total(self) -> int:
        return sum(map(len, self.acknowledged.values()))

    def go_on(self) -> None:
        """Wait until more writes are acknowledged."""
        before = self.total()
        eventually(lambda: self.total() > before + 40, "writes are acknowledged", 30)

    def stop(self) -> None:
        self._done.set()
        for thread in self._threads:
            thread.join()

    def check(self) -> None:
        """What is stored was acknowledged last, or is the one write whose answer was lost."""
        for name, numbers in self.acknowledged.items():
            stored = self._rest.peer("r", name)["user_data"]["n"]
            assert stored >= numbers[-1], name


def test_a_restart_of_postgresql_loses_no_acknowledged_write(
    new_cluster: NewCluster, connect: Connect
) -> None:
    cluster = new_cluster()
    clients = [join(connect(worker), worker.name) for worker in cluster.workers]
    writers = Writers(cluster, 4)
    try:
        for _ in range(ROUNDS):
            writers.go_on()
            cluster.postgresql.restart()
        writers.go_on()
    finally:
        writers.stop()
    writers.check()
    assert writers.refused <= {503}
    for client in clients:
        assert client.connected
    last = writers.acknowledged["writer0"][-1]
    for client in clients:
        hears(
            client,
            "peer_list_updated",
            lambda body: any(p["user_data"].get("n", 0) >= last for p in body["peers"]),
        )
    report(f"{ROUNDS} restarts: {writers.total()} writes acknowledged, none lost")


def test_a_rolling_restart_under_load_loses_nothing_and_everybody_is_back(
    new_cluster: NewCluster, connect: Connect
) -> None:
    cluster = new_cluster(3)
    clients = {f"js{n}": join(connect(cluster, "javascript"), f"js{n}") for n in range(4)}
    writers = Writers(cluster, 3)
    lowest, slowest = 99, 0.0
    watching = threading.Event()

    def watch() -> None:
        nonlocal lowest
        while not watching.is_set():
            for worker in cluster.workers:
                try:
                    body = Rest(worker).get("/rooms/r").json()
                except requests.RequestException:
                    continue  # that is the one which restarts
                lowest = min(lowest, body.get("active_peer_count", 99))
            time.sleep(0.1)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        for _ in range(ROUNDS):
            for worker in cluster.workers:
                stopping = threading.Thread(target=worker.stop)
                stopping.start()
                began = time.monotonic()
                everybody_is_back(cluster, worker, clients)
                slowest = max(slowest, time.monotonic() - began)
                stopping.join()
                worker.start()
    finally:
        watching.set()
        watcher.join()
        writers.stop()
    writers.check()
    assert slowest < 10
    assert lowest > 0, "the room was never empty"
    assert all(client.connected for client in clients.values())
    report(
        f"{3 * ROUNDS} restarts: {writers.total()} writes acknowledged, none lost; back within "
        f"{slowest:.1f} s; never fewer than {lowest} in the room; refused with {writers.refused}"
    )


def everybody_is_back(
    cluster: PrivateCluster, restarting: NamedWorker, clients: dict[str, Any]
) -> None:
    """Wait until a worker that is up shows every client as active, and none is on the other."""
    rest = Rest(cluster.others(restarting)[0])
    name = database_name(cluster.database_url)
    left = f"SELECT 1 FROM sessions WHERE sid LIKE '{restarting.name}.%'"

    def active() -> bool:
        if cluster.postgresql.execute(name, left):
            return False
        peers = rest.get("/rooms/r").json().get("peers", [])
        names = {peer["peer_id"] for peer in peers if peer["is_active"]}
        return clients.keys() <= names and all(client.connected for client in clients.values())

    eventually(active, "every client is back", 20)


def test_clients_over_polling_reach_the_worker_that_knows_them(
    new_cluster: NewCluster, connect: Connect
) -> None:
    """All from one address, which a hash of the address would send to a single worker."""
    cluster = new_cluster(3)
    clients: list[PythonClient] = [connect(cluster, transports=["polling"]) for _ in range(9)]
    assert {client.sid.split(".")[0] for client in clients} == {"w1", "w2", "w3"}
    for number, client in enumerate(clients):
        join(client, f"p{number}")
    for number, client in enumerate(clients):
        answer = client.call("signal", {"to": f"p{(number + 1) % 9}", "data": number})
        assert answer["status"] == "delivered", answer
    assert {line.split()[-4] for line in cluster.nginx.access_log()} <= {"200", "101"}
