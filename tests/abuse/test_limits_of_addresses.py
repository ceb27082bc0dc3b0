"""What one address, one peer or everybody together may have, and what is answered beyond."""

from __future__ import annotations

import io
import threading
import time
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any, TypeVar

import pytest
import requests

from local_cluster.live_server import LiveServer
from local_cluster.waiting import eventually
from presence.config import InvalidSetting, Settings, variable_of
from presence.errors import TooManyRequests
from presence.transport.admission.rates import Rates
from tests.support.streams import WebSocketStream

Answer = TypeVar("Answer")
CONNECTS, SOCKETS, REQUESTS, UPLOADS = 12, 5, 30, 3


@pytest.fixture(scope="module", params=["eventlet", "threading"])
def strict(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Generator[LiveServer]:
    """A server with small limits behind one proxy, which the tests play: each has an address."""
    live = LiveServer(
        tmp_path_factory.mktemp(f"strict-{request.param}"),
        mode=request.param,
        PRESENCE_TRUSTED_PROXIES=1,
        PRESENCE_CONNECTS_PER_MINUTE=CONNECTS,
        PRESENCE_SOCKETS_PER_ADDRESS=SOCKETS,
        PRESENCE_REQUESTS_PER_MINUTE=REQUESTS,
        PRESENCE_UPLOADS_PER_MINUTE=UPLOADS,
    )
    # The start is watched by asking for the list of rooms, from 127.0.0.1.
    live.start()
    yield live
    live.kill()


def rooms(server: LiveServer, address: str) -> requests.Response:
    return requests.get(
        f"{server.url}/api/webrtc/rooms", headers={"X-Forwarded-For": address}, timeout=10
    )


def refused(answer: requests.Response, code: str, limit: int) -> dict[str, Any]:
    body: dict[str, Any] = answer.json()
    assert (answer.status_code, body["code"], body["limit"]) == (429, code, limit)
    assert body["detail"].endswith(".")
    return body


def first_refusal(
    ask: Callable[[], Answer], is_refused: Callable[[Answer], bool], limit: int
) -> Answer:
    """Ask until it is refused, which must be beyond the limit, and soon.

    Where a minute of the clock begins meanwhile, a little of what was before it counts no more.
    """
    answers = [ask() for _ in range(limit)]
    assert not any(is_refused(answer) for answer in answers)
    for _ in range(2 + limit // 5):
        if is_refused(answer := ask()):
            return answer
    raise AssertionError(f"{limit} are allowed, and far more were not refused")


def test_requests_beyond_the_limit_are_told_when_to_come_back(strict: LiveServer) -> None:
    answer = first_refusal(lambda: rooms(strict, "192.0.2.1"), lambda a: not a.ok, REQUESTS)
    body = refused(answer, "too_many_requests", REQUESTS)
    assert 0 < body["retry_after"] <= 60
    assert answer.headers["Retry-After"] == str(body["retry_after"])
    assert rooms(strict, "192.0.2.2").ok


def test_connections_opened_too_fast_are_refused(strict: LiveServer) -> None:
    address = "192.0.2.10"

    def connect() -> WebSocketStream:
        opened = WebSocketStream(strict, forwarded=address)
        opened.close()
        return opened

    beyond = first_refusal(connect, lambda opened: opened.status != 101, CONNECTS)
    assert (beyond.status, b"too_many_connects" in beyond.refusal) == (429, True)
    answer = requests.get(
        f"{strict.url}/socket.io/?EIO=4&transport=polling",
        headers={"X-Forwarded-For": address, "Origin": "https://example.org"},
        timeout=10,
    )
    body = refused(answer, "too_many_connects", CONNECTS)
    assert answer.headers["Retry-After"] == str(body["retry_after"])
    assert answer.headers["Access-Control-Allow-Origin"]
    assert WebSocketStream(strict, forwarded="192.0.2.11").status == 101


def test_an_address_holds_only_so_many_connections(strict: LiveServer) -> None:
    address = "192.0.2.20"
    held = [WebSocketStream(strict, forwarded=address) for _ in range(SOCKETS)]
    beyond = WebSocketStream(strict, forwarded=address)
    assert (beyond.status, b"too_many_sockets" in beyond.refusal) == (429, True)
    held.pop().close()

    def is_let_in() -> bool:
        stream = WebSocketStream(strict, forwarded=address)
        return stream.status == 101

    eventually(is_let_in, "a place that became free is given away", 5, interval=0.2)


def test_uploads_for_one_peer_are_limited(strict: LiveServer) -> None:
    headers = {"X-Forwarded-For": "192.0.2.30"}
    for peer_id in ("ada", "bob"):
        requests.post(
            f"{strict.url}/api/webrtc/rooms/uploads/join",
            json={"peer_id": peer_id, "username": peer_id},
            headers=headers,
            timeout=10,
        )

    def upload(peer_id: str) -> requests.Response:
        return requests.post(
            f"{strict.url}/api/webrtc/upload",
            files={"file": ("a.txt", io.BytesIO(b"text"))},
            data={"room_name": "uploads", "peer_id": peer_id},
            headers=headers,
            timeout=10,
        )

    answer = first_refusal(lambda: upload("ada"), lambda a: not a.ok, UPLOADS)
    refused(answer, "too_many_uploads", UPLOADS)
    stored = len(strict.stored_files())
    assert not upload("ada").ok
    assert len(strict.stored_files()) == stored
    assert upload("bob").ok


@pytest.mark.parametrize("mode", ["eventlet", "threading"])
def test_a_full_server_says_so(tmp_path: Path, mode: str) -> None:
    server = LiveServer(tmp_path, mode, PRESENCE_MAX_CONNECTIONS=3).start()
    try:
        held = [WebSocketStream(server) for _ in range(3)]
        beyond = WebSocketStream(server)
        assert (beyond.status, b"server_full" in beyond.refusal) == (503, True)
        assert requests.get(f"{server.url}/api/webrtc/rooms", timeout=10).ok
        held[0].close()
        eventually(lambda: WebSocketStream(server).status == 101, "a place is free", 5, 0.2)
    finally:
        server.kill()


def test_zero_turns_a_limit_off() -> None:
    rates = Rates(Settings(requests_per_minute=0))
    for _ in range(100):
        rates.count(TooManyRequests, "192.0.2.1")


def test_the_limits_are_well_above_what_a_room_behind_one_router_does() -> None:
    settings = Settings()
    assert settings.sockets_per_address >= 10 * settings.max_peers
    assert settings.connects_per_minute >= 10 * settings.max_peers
    # Everybody in a full room asks for the list every second.
    assert settings.requests_per_minute >= 60 * settings.max_peers


def test_a_wait_that_was_asked_for_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [1_700_000_000.0]
    monkeypatch.setattr(time, "time", lambda: clock[0])
    rates = Rates(Settings(requests_per_minute=60))

    def ask() -> float:
        """Return how long to wait."""
        try:
            rates.count(TooManyRequests, "192.0.2.1")
        except TooManyRequests as error:
            return float(error.extra["retry_after"])
        return 0

    assert [ask() for _ in range(60)] == [0] * 60
    for _ in range(200):
        if wait := ask():
            assert wait <= 60
            clock[0] += wait
            assert ask() == 0


@pytest.mark.parametrize(
    "name", ["trusted_proxies", "sockets_per_address", "requests_per_minute", "uploads_per_minute"]
)
def test_a_limit_below_nothing_is_refused(name: str) -> None:
    with pytest.raises(InvalidSetting, match="0 or more"):
        Settings.from_environment({variable_of(name): "-1"})


def test_counts_that_are_over_are_forgotten_and_no_thread_looks_for_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = [1_700_000_000.0]
    monkeypatch.setattr(time, "time", lambda: clock[0])
    rates = Rates(Settings(requests_per_minute=60))
    threads = threading.active_count()
    for number in range(2_000):
        rates.count(TooManyRequests, f"192.0.2.{number}")
    assert len(rates._counts.expirations) == 2_000
    clock[0] += 180
    for number in range(1_000):
        rates.count(TooManyRequests, f"198.51.100.{number}")
    assert len(rates._counts.expirations) == 1_000
    assert threading.active_count() <= threads
