"""Crashes under writes: whatever was acknowledged is told, in order, and nothing that never was.

`PRESENCE_TEST_ROUNDS` is the number of crashes (50 for a full campaign).
"""

from __future__ import annotations

import itertools
import os
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Generator
from typing import Any

import pytest
import requests

from local_cluster.live_server import LiveServer
from local_cluster.private_cluster import NewCluster, PrivateCluster
from local_cluster.private_postgresql import PrivatePostgresql, database_name
from local_cluster.waiting import eventually
from tests.backend.receivers import Receiver

NewServer = Callable[..., LiveServer]
ROUNDS = int(os.environ.get("PRESENCE_TEST_ROUNDS", "2"))
WRITERS, ROOMS = 20, 6
SETTINGS: dict[str, Any] = {"PRESENCE_KEEP_EVENTS": "1d", "PRESENCE_REQUESTS_PER_MINUTE": 0}
# What each writer writes is found again by its name and number.
Write = tuple[str, int]


class Writer(threading.Thread):
    """Changes its peer again and again, on whichever server answers, and notes what was said."""

    def __init__(self, name: str, urls: list[str]) -> None:
        super().__init__(daemon=True)
        self.peer_id = name
        self.room = f"r{int(name[1:]) % ROOMS}"
        self.is_over = False
        self.acknowledged: dict[int, int] = {}  # the version by the number
        self.refused: set[int] = set()  # answered, and not with success
        self.unknown: set[int] = set()  # not answered
        self.failure: BaseException | None = None
        self._urls = urls
        self._chance = random.Random(name)
        self._session = requests.Session()

    def run(self) -> None:
        try:
            joined = False
            for number in itertools.count(1):
                if self.is_over:
                    return
                base = f"{self._chance.choice(self._urls)}/api/webrtc/rooms/{self.room}"
                try:
                    if not joined:
                        body = {"peer_id": self.peer_id, "username": self.peer_id}
                        joined = self._session.post(f"{base}/join", json=body, timeout=30).ok
                        continue
                    answer = self._session.post(
                        f"{base}/update-data?peer_id={self.peer_id}",
                        json={"user_data": {"number": number}},
                        timeout=30,
                    )
                except requests.RequestException:
                    self.unknown.add(number)
                    time.sleep(0.05)
                    continue
                if answer.ok:
                    self.acknowledged[number] = answer.json()["version"]
                else:
                    # 500 and 503 are said when the database does not answer, perhaps to a commit.
                    (self.unknown if answer.status_code >= 500 else self.refused).add(number)
                    time.sleep(0.05)
        except BaseException as failure:
            self.failure = failure


class Fetcher(threading.Thread):
    """A backend that reads on by its cursor, whoever dies meanwhile."""

    def __init__(self, urls: list[str]) -> None:
        super().__init__(daemon=True)
        self.events: list[dict[str, Any]] = []
        self.is_over = False
        self._urls = itertools.cycle(urls)

    def run(self) -> None:
        cursor = None
        while not self.is_over:
            query = {"wait": 1, "limit": 500, **({"after": cursor} if cursor else {})}
            try:
                answer = requests.get(
                    f"{next(self._urls)}/api/webrtc/events", params=query, timeout=10
                )
                page = answer.json() if answer.ok else None
            except requests.RequestException:
                page = None
            if page is None:
                time.sleep(0.1)
                continue
            self.events += page["events"]
            cursor = page["cursor"]


@pytest.fixture
def written() -> Generator[Callable[[list[str]], list[Writer]]]:
    """Start the writers; they end with the test."""
    writers: list[Writer] = []

    def start(urls: list[str]) -> list[Writer]:
        writers.extend(Writer(f"w{number}", urls) for number in range(WRITERS))
        for writer in writers:
            writer.start()
        return writers

    yield start
    end(writers)


def end(threads: list[Any]) -> None:
    for thread in threads:
        thread.is_over = True
    for thread in threads:
        thread.join(60)


def numbers(events: list[dict[str, Any]]) -> dict[Write, dict[str, Any]]:
    """Return the updates among events by who made them, as they came first."""
    found: dict[Write, dict[str, Any]] = {}
    for event in events:
        if event["type"] == "peer_updated":
            found.setdefault((event["peer_id"], event["user_data"]["number"]), event)
    return found


def missing(writers: list[Writer], events: list[dict[str, Any]]) -> int:
    """Return how many acknowledged changes are not among these events."""
    told = numbers(events)
    return sum((w.peer_id, number) not in told for w in writers for number in w.acknowledged)


def check(writers: list[Writer], events: list[dict[str, Any]], how: str) -> None:
    """Compare what was told with what was acknowledged."""
    told = numbers(events)
    for writer in writers:
        if writer.failure is not None:
            raise writer.failure
        mine = {number: event for (name, number), event in told.items() if name == writer.peer_id}
        assert writer.acknowledged.keys() <= mine.keys(), how
        for number, version in writer.acknowledged.items():
            assert mine[number]["version"] == version
        assert not mine.keys() & writer.refused
        # Without an answer nobody can know whether it was committed.
        assert mine.keys() - writer.acknowledged.keys() <= writer.unknown, how
    versions: dict[str, list[int]] = {}
    for event in {event["id"]: event for event in events}.values():
        versions.setdefault(event["room_name"], []).append(event["version"])
    first: set[str] = set()
    newest: dict[str, dict[str, Any]] = {}
    for event in events:
        if event["id"] in first:
            continue
        first.add(event["id"])
        before = newest.get(event["room_name"], event)
        assert event["version"] >= before["version"], f"{how}: {event} after {before}"
        newest[event["room_name"]] = event


def catch_up(missing_now: Callable[[], int], who: str) -> None:
    """Wait until nothing is missing, for as long as less and less is: many changes may wait."""
    while left := missing_now():
        eventually(lambda left=left: missing_now() < left, f"{who} gets on", 60, 1)  # type: ignore[misc]


def settle(writers: list[Writer], receiver: Receiver, fetcher: Fetcher) -> None:
    """Stop writing, wait until all has been told both ways, and check it."""
    end(writers)
    catch_up(lambda: missing(writers, receiver.all()), "the webhook")
    catch_up(lambda: missing(writers, fetcher.events), "the cursor")
    eventually(lambda: len(receiver.first()) == len(fetcher.events), "both have the same", 60, 0.2)
    end([fetcher])
    check(writers, receiver.all(), "webhook")
    check(writers, fetcher.events, "cursor")
    ids = Counter(event["id"] for event in fetcher.events)
    assert set(ids) == {event["id"] for event in receiver.all()}
    assert max(ids.values()) == 1, "whoever keeps the cursor is told once"
    said = sum(len(writer.acknowledged) for writer in writers)
    again = len(receiver.all()) - len(receiver.first())
    unknown = sum(len(writer.unknown) for writer in writers)
    print(f"{said} acknowledged, {unknown} not answered, {again} sent again")
    assert said > 100


@pytest.mark.timeout(3600)
def test_a_server_that_is_killed_again_and_again_tells_what_it_acknowledged(
    new_server: NewServer, receiver: Receiver, written: Callable[[list[str]], list[Writer]]
) -> None:
    server = new_server(**receiver.settings, **SETTINGS)
    writers, fetcher = written([server.url]), Fetcher([server.url])
    fetcher.start()
    chance = random.Random(7)
    for round_ in range(ROUNDS):
        time.sleep(chance.uniform(0.5, 2.5))
        server.kill()
        if round_ % 3 == 1:
            receiver.kill()
        server.start()
        if round_ % 3 == 1:
            time.sleep(1)
            receiver.start()
        before = sum(len(writer.acknowledged) for writer in writers)
        eventually(
            lambda before=before: (  # type: ignore[misc]
                sum(len(writer.acknowledged) for writer in writers) > before + 20
            ),
            "it is written again",
            30,
        )
    settle(writers, receiver, fetcher)


@pytest.mark.timeout(3600)
def test_workers_that_are_killed_in_turn_tell_what_they_acknowledged(
    new_cluster: NewCluster,
    receiver: Receiver,
    written: Callable[[list[str]], list[Writer]],
) -> None:
    cluster: PrivateCluster = new_cluster(3, **receiver.settings, **SETTINGS)
    urls = [worker.url for worker in cluster.workers]
    writers, fetcher = written(urls), Fetcher(urls)
    fetcher.start()
    for round_ in range(ROUNDS):
        time.sleep(5)
        worker = cluster.workers[round_ % 3]
        worker.kill()
        worker.start()
    settle(writers, receiver, fetcher)


@pytest.mark.timeout(3600)
def test_workers_that_are_frozen_in_turn_send_nothing_too_late(
    new_cluster: NewCluster,
    receiver: Receiver,
    written: Callable[[list[str]], list[Writer]],
) -> None:
    """For longer than their lease, so that others have sent more than they hold meanwhile."""
    receiver.behave(everywhere="slow")
    cluster: PrivateCluster = new_cluster(3, **receiver.settings, **SETTINGS)
    urls = [worker.url for worker in cluster.workers]
    writers, fetcher = written(urls), Fetcher(urls)
    fetcher.start()
    chance = random.Random(11)
    for round_ in range(ROUNDS):
        worker = cluster.workers[round_ % 3]
        time.sleep(chance.uniform(1, 3))
        worker.signal(signal.SIGSTOP)
        time.sleep(chance.uniform(9, 13))
        worker.signal(signal.SIGCONT)
    settle(writers, receiver, fetcher)


def test_what_a_frozen_worker_had_sent_before_another_took_over_arrives_late_and_harms_nothing(
    new_cluster: NewCluster, receiver: Receiver
) -> None:
    def change(worker: LiveServer, number: int) -> None:
        answer = requests.post(
            f"{worker.url}/api/webrtc/rooms/r/update-data?peer_id=ada",
            json={"user_data": {"number": number}},
            timeout=30,
        )
        answer.raise_for_status()

    cluster: PrivateCluster = new_cluster(2, **receiver.settings, **SETTINGS)
    first, second = cluster.workers
    second.kill()
    receiver.behave(everywhere="late")
    body = {"peer_id": "ada", "username": "ada"}
    requests.post(f"{first.url}/api/webrtc/rooms/r/join", json=body, timeout=30)
    leased = "SELECT 1 FROM webhook_queue WHERE leased_by IS NOT NULL"
    name = database_name(cluster.database_url)
    eventually(lambda: cluster.postgresql.execute(name, leased), "it sends")
    first.signal(signal.SIGSTOP)
    receiver.behave()
    second.start()
    for number in range(5):
        change(second, number)
    eventually(lambda: len(receiver.first("r")) == 7, "another took over", 30)
    first.signal(signal.SIGCONT)
    # Before or after what the other has sent, which depends on how soon that took over.
    eventually(
        lambda: len(receiver.all("r")) > len(receiver.first("r")), "what was late came as well", 30
    )
    change(first, 5)
    eventually(lambda: len(receiver.first("r")) == 8, "all come", 30)
    versions = [event["version"] for event in receiver.first("r")]
    assert versions == sorted(versions)


@pytest.fixture
def new_cluster(postgresql: PrivatePostgresql) -> Generator[NewCluster]:
    """Make a cluster of one's own."""
    made: list[PrivateCluster] = []

    def make(workers: int = 3, **settings: Any) -> PrivateCluster:
        made.append(PrivateCluster(postgresql, workers, **settings))
        return made[-1].start()

    yield make
    for cluster in made:
        cluster.close()
