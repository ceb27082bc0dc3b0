"""The same key sent many times at once, to several workers: the change is made once."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import requests

from local_cluster.private_cluster import PrivateCluster
from tests.support.callers import ROOMS


def test_a_key_sent_to_all_workers_at_once_is_done_once(cluster: PrivateCluster) -> None:
    urls = [worker.url for worker in cluster.workers]
    requests.put(f"{urls[0]}{ROOMS}/once", json={}, timeout=30)

    def send(number: int, path: str, body: Any, key: str) -> requests.Response:
        """Send it until it is answered otherwise than by “wait”."""
        while True:
            answer = requests.post(
                f"{urls[number % len(urls)]}{path}",
                json=body,
                headers={"Idempotency-Key": key},
                timeout=30,
            )
            if answer.status_code != 409:
                return answer
            assert answer.json()["code"] == "idempotency_key_in_use"

    def version() -> int:
        return int(requests.get(f"{urls[0]}{ROOMS}/once", timeout=30).json()["version"])

    with ThreadPoolExecutor(12) as pool:
        for turn in range(6):
            before = version()
            path, body = f"{ROOMS}/once/data", dict[str, Any](room_data={"turn": turn})
            parts = 1
            if turn % 2:
                parts = 5
                changes = [{"path": path, "body": {"room_data": {f"{turn}": n}}} for n in range(5)]
                path, body = "/api/webrtc/batch", {"requests": changes}
            answers = list(
                pool.map(lambda n, p=path, b=body, t=turn: send(n, p, b, f"turn{t}"), range(24))
            )
            assert len({answer.content for answer in answers}) == 1
            replayed = Counter("Idempotent-Replayed" in answer.headers for answer in answers)
            assert replayed == {False: 1, True: 23}
            assert version() == before + parts
