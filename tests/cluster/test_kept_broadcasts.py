"""Kept broadcasts over several workers: one order, nothing twice, whatever breaks between them.

`PRESENCE_TEST_OUTAGE` is for how many seconds Redis is away, `PRESENCE_TEST_ROUNDS` how often a
worker is killed.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Generator
from typing import Any

import pytest

from local_cluster.private_cluster import NewCluster
from local_cluster.waiting import eventually
from tests.support.clients import events
from tests.support.ears import Ear

Connect = Callable[..., Any]
SPEAKERS, TURNS = 10, 20
OUTAGE = float(os.environ.get("PRESENCE_TEST_OUTAGE", "1"))
ROUNDS = int(os.environ.get("PRESENCE_TEST_ROUNDS", "3"))


def join(client: Any, peer_id: str, **more: Any) -> Any:
    message = {"room_name": "r", "peer_id": peer_id, "username": peer_id, **more}
    answer = client.call("join_room", message)
    assert answer["ok"], answer
    return client


def say(client: Any, data: Any) -> int:
    answer = client.call("broadcast", {"event": "e", "data": data, "keep": True})
    assert answer["ok"], answer
    number: int = answer["id"]
    return number


@pytest.fixture
def listen() -> Generator[Callable[..., Ear]]:
    made: list[Ear] = []

    def make(worker: Any, name: str, **more: Any) -> Ear:
        made.append(Ear(worker, name, **more))
        return made[-1]

    yield make
    for ear in made:
        ear.close()


def test_all_are_told_in_one_order_by_every_worker(
    new_cluster: NewCluster, connect: Connect, listen: Callable[..., Ear]
) -> None:
    cluster = new_cluster(PRESENCE_KEEP_BROADCASTS=1000)
    ears = [listen(worker, f"ear {worker.name}") for worker in cluster.workers]
    speakers = [
        join(connect(cluster.workers[number % 2]), f"speaker {number}")
        for number in range(SPEAKERS)
    ]
    acknowledged: list[int] = []

    def speak(speaker: Any) -> None:
        acknowledged.extend(say(speaker, number) for number in range(TURNS))

    threads = [threading.Thread(target=speak, args=[speaker]) for speaker in speakers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(acknowledged) == list(range(1, SPEAKERS * TURNS + 1))
    for ear in ears:
        eventually(lambda ear=ear: len(ear.heard()) >= len(acknowledged), "all are heard")  # type: ignore[misc]
        assert ear.ids == sorted(acknowledged)
    # Those who speak hear all but their own.
    for speaker in speakers:
        others = (SPEAKERS - 1) * TURNS
        eventually(lambda s=speaker, n=others: len(events(s, "broadcast")) == n, "all others'")  # type: ignore[misc]


@pytest.mark.parametrize("way", ["stopped", "frozen"])
def test_what_was_said_while_redis_was_away_is_heard_all_the_same(
    new_cluster: NewCluster, connect: Connect, listen: Callable[..., Ear], way: str
) -> None:
    cluster = new_cluster(PRESENCE_KEEP_BROADCASTS=100_000)
    here = join(connect(cluster.workers[0]), "here")
    there = join(connect(cluster.workers[1]), "there")
    ears = [listen(worker, f"ear {worker.name}") for worker in cluster.workers]
    eventually(lambda: say(here, "before") and all(ear.heard() for ear in ears), "they hear")
    if way == "stopped":
        cluster.redis.stop()
    else:
        cluster.redis.signal(signal.SIGSTOP)
    until, said = time.monotonic() + OUTAGE, 0
    while said < 20 or time.monotonic() < until:
        said += 1
        last = [say(one, said) for one in (here, there)][-1]
        for ear in ears:
            ear.heard()  # and so answers pings
    if way == "stopped":
        cluster.redis.start()
    else:
        cluster.redis.signal(signal.SIGCONT)
    for ear in ears:
        eventually(lambda ear=ear: ear.heard()[-1] >= last, "all are heard", 15)  # type: ignore[misc]
        assert ear.ids == list(range(ear.ids[0], last + 1))
    eventually(lambda: len(events(there, "broadcast")) >= said, "who speaks hears the others", 15)


@pytest.mark.timeout(120 + 20 * ROUNDS)
def test_a_worker_that_is_killed_takes_nothing_with_it(
    new_cluster: NewCluster, connect: Connect, listen: Callable[..., Ear]
) -> None:
    cluster = new_cluster(PRESENCE_KEEP_BROADCASTS=100_000)
    ear = listen(cluster.workers[0], "ear", since_broadcast=0)
    acknowledged: list[int] = []

    def speak(speaker: Any) -> None:
        try:
            while True:
                acknowledged.append(say(speaker, "x"))
        except Exception:
            return

    for _ in range(ROUNDS):
        speakers = [join(connect(cluster.workers[1]), f"s{number}") for number in range(4)]
        threads = [threading.Thread(target=speak, args=[s], daemon=True) for s in speakers]
        for thread in threads:
            thread.start()
        wanted = len(acknowledged) + 30
        eventually(lambda n=wanted: len(acknowledged) > n, "they speak")  # type: ignore[misc]
        cluster.workers[1].kill()
        cluster.workers[1].start()
        ear.heard()
    # Some may be committed that nobody could be told of any more.
    late = listen(cluster.workers[1], "late", since_broadcast=0)
    eventually(
        lambda: set(acknowledged) <= set(late.heard()) and ear.heard() == late.heard(),
        "who was there, and who comes later, hear the same",
        15,
    )
    assert ear.ids == list(range(1, len(ear.ids) + 1))
