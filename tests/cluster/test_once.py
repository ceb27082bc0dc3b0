"""A request with a key that comes to several workers is done by one of them."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import requests

from local_cluster.private_cluster import PrivateCluster
from tests.support.callers import ROOMS
from tests.support.keyed_requests import HEADER, check_one_was_done


def test_the_same_at_once_is_done_by_one_worker(cluster: PrivateCluster) -> None:
    urls = [worker.url for worker in cluster.workers]

    def put(number: int, room: str) -> requests.Response:
        return requests.put(
            f"{urls[number % len(urls)]}{ROOMS}/{room}",
            json={"max_peers": 2},
            headers={HEADER: "same"},
            timeout=30,
        )

    for turn in range(6):
        with ThreadPoolExecutor(9) as pool:
            answers = list(pool.map(lambda n, t=turn: put(n, f"once{t}"), range(9)))
        check_one_was_done(answers)
