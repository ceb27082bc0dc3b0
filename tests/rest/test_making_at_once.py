"""A room that many make and remove at once: never a fault, and one room in the end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import requests

from local_cluster.live_server import LiveServer
from local_cluster.private_cluster import PrivateCluster
from tests.support.callers import ROOMS


def make_and_remove(urls: list[str], name: str) -> None:
    """Make a room from everywhere at once; then make and remove it at once."""

    def put(number: int, room: str) -> requests.Response:
        url = urls[number % len(urls)]
        return requests.put(f"{url}{ROOMS}/{room}", json={"max_peers": 2 + number}, timeout=30)

    def either(number: int) -> tuple[str, int]:
        if number % 2:
            return "PUT", put(number, name).status_code
        url = urls[number // 2 % len(urls)]
        return "DELETE", requests.delete(f"{url}{ROOMS}/{name}", timeout=30).status_code

    with ThreadPoolExecutor(12) as pool:
        for turn in range(4):
            statuses = Counter(
                answer.status_code
                for answer in pool.map(lambda n, t=turn: put(n, f"{name}-new{t}"), range(12))
            )
            assert statuses == {201: 1, 200: 11}, statuses
        for _ in range(6):
            answers = Counter(pool.map(either, range(24)))
            assert set(answers) <= {
                ("PUT", 200),
                ("PUT", 201),
                ("DELETE", 200),
                ("DELETE", 404),
            }, answers
            # Made as often as removed, or once more: then it is there, and once.
            there = requests.get(f"{urls[0]}{ROOMS}/{name}", timeout=30).status_code == 200
            more = answers["PUT", 201] - answers["DELETE", 200]
            assert more == there, answers
            requests.delete(f"{urls[0]}{ROOMS}/{name}", timeout=30)


def test_rooms_are_made_and_removed_at_once(new_server: Callable[..., LiveServer]) -> None:
    server = new_server(PRESENCE_REQUESTS_PER_MINUTE="0", PRESENCE_REQUESTS_AT_ONCE="0")
    make_and_remove([server.url], "one")
    assert "Traceback" not in server.log_text()


def test_rooms_are_made_and_removed_at_once_on_three_workers(cluster: PrivateCluster) -> None:
    make_and_remove([worker.url for worker in cluster.workers], "three")
