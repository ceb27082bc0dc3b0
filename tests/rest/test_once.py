"""Requests with a key: done once however often they are sent, also where servers die over them.

`PRESENCE_TEST_ROUNDS` is the number of crashes.
"""

from __future__ import annotations

import os
import random
import threading
import time
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import pytest
import requests

from local_cluster.live_server import LiveServer
from local_cluster.waiting import eventually
from tests.support.callers import ROOMS
from tests.support.keyed_requests import HEADER, check_one_was_done
from tests.support.keys import LOCKED, bearer, token

NewServer = Callable[..., LiveServer]
ROUNDS = int(os.environ.get("PRESENCE_TEST_ROUNDS", "2"))


@pytest.fixture(scope="module")
def locked(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A locked server."""
    settings: dict[str, Any] = LOCKED | {
        "PRESENCE_MAX_IDEMPOTENCY_KEYS": 40,
        "PRESENCE_KEEP_BROADCASTS": 10,
    }
    server = LiveServer(tmp_path_factory.mktemp("once"), **settings).start()
    yield server
    server.kill()


def send(
    url: str, method: str, path: str, key: str | None, body: Any = None, *, who: str = "root"
) -> requests.Response:
    """Send a request as an admin of some name."""
    headers = bearer(token(who, "*", "admin", ttl=3600)) | ({HEADER: key} if key else {})
    return requests.request(method, url + path, json=body, headers=headers, timeout=30)


# Each twice: the second would be answered otherwise if it were done again.
CHANGES: list[tuple[str, str, Any]] = [
    ("PUT", f"{ROOMS}/all", {"max_peers": 3}),
    ("POST", f"{ROOMS}/all/join", {"peer_id": "ada", "username": "Ada"}),
    ("POST", f"{ROOMS}/all/join", {"peer_id": "bob", "username": "Bob"}),
    ("POST", f"{ROOMS}/all/update-data?peer_id=ada", {"user_data": {"n": 1}, "if_version": 2}),
    ("POST", f"{ROOMS}/all/data?peer_id=ada", {"room_data": {"n": 1}, "if_version": 3}),
    ("POST", f"{ROOMS}/all/broadcast", {"event": "e", "data": 1, "keep": True}),
    ("POST", f"{ROOMS}/all/peers/ada/kick", None),
    ("POST", f"{ROOMS}/all/leave", {"peer_id": "bob"}),
    ("DELETE", f"{ROOMS}/all/peers/bob", None),
    ("DELETE", f"{ROOMS}/all/peers/bob", None),
    ("POST", f"{ROOMS}/all/peers/eve/ban", {"reason": "spam"}),
    ("POST", f"{ROOMS}/all/peers/eve/unban", None),
    ("POST", f"{ROOMS}/all/close", {}),
    ("POST", f"{ROOMS}/all/reopen", None),
    ("POST", f"{ROOMS}/all/broadcast", {"event": "e", "data": 1, "to": ["ada"]}),
    ("POST", f"{ROOMS}/all/peers/eve/signal", {"data": 1}),
    ("DELETE", f"{ROOMS}/all/files/none.txt", None),
    ("POST", "/api/webrtc/tokens/revoke", {"jti": "x", "seconds": 60}),
    ("DELETE", f"{ROOMS}/all", None),
]


def test_every_change_is_made_once_and_answered_alike(locked: LiveServer) -> None:
    for number, (method, path, body) in enumerate(CHANGES):
        first = send(locked.url, method, path, f"all-{number}", body)
        assert first.status_code < 500
        for key in (f"all-{number}", f'"all-{number}"'):
            again = send(locked.url, method, path, key, body)
            row = (method, path, first.text, again.text)
            assert (again.status_code, again.content) == (first.status_code, first.content), row
            assert again.headers["Idempotent-Replayed"] == "true", row
            assert "Idempotent-Replayed" not in first.headers, row


def test_a_key_is_for_its_caller_address_and_body(locked: LiveServer) -> None:
    path, key = f"{ROOMS}/own", uuid.uuid4().hex
    assert send(locked.url, "PUT", path, key, {"max_peers": 2}, who="one").status_code == 201
    other = send(locked.url, "PUT", path, key, {"max_peers": 3}, who="one")
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")
    assert send(locked.url, "PUT", path, key, {"max_peers": 4}, who="two").status_code == 200
    assert send(locked.url, "PUT", f"{path}er", key, {"max_peers": 3}, who="one").status_code == 201
    assert send(locked.url, "PUT", path, None, {}).json()["max_peers"] == 4


def test_what_is_no_key_is_refused_before_anything_is_done(locked: LiveServer) -> None:
    for key in (
        "x" * 256,
        "two words",
        '"',
        '"half',
        "a,b",
        "é",
    ):
        answer = send(locked.url, "PUT", f"{ROOMS}/never", key, {})
        assert answer.status_code == 422, key
        assert answer.json()["field"] == HEADER, key
    assert send(locked.url, "GET", f"{ROOMS}/never", None).status_code == 404
    refused = send(locked.url, "POST", "/api/webrtc/upload", "key")
    assert (refused.status_code, refused.json()["field"]) == (422, HEADER)


def test_a_caller_has_so_many_keys_and_what_may_pass_is_not_kept(locked: LiveServer) -> None:
    answers = [send(locked.url, "PUT", f"{ROOMS}/m", f"m{n}", {}, who="many") for n in range(41)]
    assert {one.status_code for one in answers[:40]} == {200, 201}
    assert answers[40].json()["code"] == "too_many_idempotency_keys"
    assert int(answers[40].headers["Retry-After"]) > 80_000
    # Known ones are answered, and others are not concerned.
    assert send(locked.url, "PUT", f"{ROOMS}/m", "m0", {}, who="many").status_code == 201
    assert send(locked.url, "PUT", f"{ROOMS}/m", "m41", {}, who="few").status_code == 200


def test_the_same_at_once_is_done_once(locked: LiveServer) -> None:
    for turn in range(5):
        with ThreadPoolExecutor(8) as pool:
            path, body = f"{ROOMS}/race{turn}", {"max_peers": 2}
            answers = list(
                pool.map(
                    lambda _n, p=path, b=body: send(locked.url, "PUT", p, "race", b, who="racer"),
                    range(8),
                )
            )
        check_one_was_done(answers)


def test_a_change_that_a_crash_left_unanswered_is_not_made_twice(new_server: NewServer) -> None:
    server = new_server(PRESENCE_REQUESTS_PER_MINUTE="0", PRESENCE_REST_SESSION_SECONDS="3600")
    path = f"{ROOMS}/crash/update-data?peer_id=ada"
    join = {"peer_id": "ada", "username": "Ada"}
    joined = requests.post(f"{server.url}{ROOMS}/crash/join", json=join, timeout=30)
    version = joined.json()["version"]
    chance, is_over = random.Random(1), threading.Event()

    def kill_again_and_again() -> None:
        for _ in range(ROUNDS):
            time.sleep(chance.uniform(0.2, 1.0))
            server.kill()
            server.start()
        is_over.set()

    killer = threading.Thread(target=kill_again_and_again)
    killer.start()
    made = repeated = 0
    while not is_over.is_set():
        body = {"user_data": {"n": made}, "replace": True, "if_version": version}
        answer = until_answered(server.url + path, body, f"n{made}")
        # Done twice, the second would find that the data has another version.
        assert answer.status_code == 200, answer.text
        repeated += "Idempotent-Replayed" in answer.headers
        version, made = answer.json()["version"], made + 1
    killer.join()
    print(f"{made} changes, {repeated} of them answered from what was kept, {ROUNDS} crashes")
    assert made


def until_answered(url: str, body: Any, key: str) -> requests.Response:
    """Send a request until it is answered, as a client does."""
    answers: list[requests.Response] = []

    def is_answered() -> bool:
        with suppress(requests.RequestException):
            got = requests.post(url, json=body, headers={HEADER: key}, timeout=30)
            if got.status_code < 500 and got.json().get("code") != "idempotency_key_in_use":
                answers.append(got)
        return bool(answers)

    eventually(is_answered, f"{key} is answered", 60)
    return answers[0]
