"""Kept broadcasts over several workers: one order, nothing twice, whatever breaks between them."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from typing import Any

import pytest

from local_cluster.private_cluster import NewCluster
from local_cluster.waiting import eventually
from tests.support.clients import events, hears

Connect = Callable[..., Any]
SPEAKERS, TURNS = 10, 20


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


def ids(client: Any) -> list[int]:
    return [body["id"] for body in events(client, "broadcast")]


def test_all_are_told_in_one_order_by_every_worker(
    new_cluster: NewCluster, connect: Connect
) -> None:
    cluster = new_cluster(PRESENCE_KEEP_BROADCASTS=1000)
    ears = [join(connect(worker), f"ear {worker.name}") for worker in cluster.workers]
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
    wanted = sorted(acknowledged)
    assert len(set(wanted)) == SPEAKERS * TURNS
    for ear in ears:
        eventually(lambda ear=ear: len(ids(ear)) >= len(wanted), "all are heard")  # type: ignore[misc]
        assert ids(ear) == wanted
    # Those who speak hear all the others', in order too.
    for speaker in speakers:
        own = {body["id"] for body in events(speaker, "broadcast")}
        assert len(own) == (SPEAKERS - 1) * TURNS
        assert ids(speaker) == sorted(own)


@pytest.mark.parametrize("way", ["stopped", "frozen"])
def test_what_was_said_while_redis_was_away_is_heard_all_the_same(
    new_cluster: NewCluster, connect: Connect, way: str
) -> None:
    cluster = new_cluster(PRESENCE_KEEP_BROADCASTS=1000)
    here = join(connect(cluster.workers[0]), "here")
    there = join(connect(cluster.workers[1]), "there")
    first = say(here, "before")
    hears(there, "broadcast", lambda body: body["data"] == "before")
    if way == "stopped":
        cluster.redis.stop()
    else:
        cluster.redis.signal(signal.SIGSTOP)
    mine = [say(here, number) for number in range(20)]
    theirs = [say(there, number) for number in range(20)]
    if way == "stopped":
        cluster.redis.start()
    else:
        cluster.redis.signal(signal.SIGCONT)
    mine.append(say(here, "after"))
    eventually(lambda: ids(there) == [first, *mine], "there heard all", 15)
    eventually(lambda: ids(here) == theirs, "here heard all", 15)


def test_a_worker_that_is_killed_takes_nothing_with_it(
    new_cluster: NewCluster, connect: Connect
) -> None:
    cluster = new_cluster(PRESENCE_KEEP_BROADCASTS=1000)
    ear = join(connect(cluster.workers[0]), "ear")
    acknowledged: list[int] = []

    def speak(speaker: Any) -> None:
        try:
            while True:
                acknowledged.append(say(speaker, "x"))
        except Exception:
            return

    for _ in range(3):
        speakers = [join(connect(cluster.workers[1]), f"s{number}") for number in range(4)]
        threads = [threading.Thread(target=speak, args=[s], daemon=True) for s in speakers]
        for thread in threads:
            thread.start()
        wanted = len(acknowledged) + 30
        eventually(lambda n=wanted: len(acknowledged) > n, "they speak")  # type: ignore[misc]
        cluster.workers[1].kill()
        cluster.workers[1].start()
    eventually(lambda: set(acknowledged) <= set(ids(ear)), "all acknowledged are heard", 15)
    assert ids(ear) == sorted(set(ids(ear)))
    late = join(connect(cluster.workers[1]), "late", since_broadcast=0)
    end = hears(late, "broadcasts_caught_up")
    while end["more"]:
        end = late.call("sync", {"since_broadcast": end["last"]})["broadcasts"]
    assert ids(late) == ids(ear)
