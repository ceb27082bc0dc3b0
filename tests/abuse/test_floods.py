"""A socket that sends too fast is slowed, warned and shown out, and nobody else feels it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Generator
from typing import Any

import pytest

from local_cluster.live_server import LiveServer
from local_cluster.waiting import eventually
from presence.config import Settings
from presence.transport.engine.throttle import TokenBucket
from tests.support.clients import events, hears, shows
from tests.support.streams import TEXT, WebSocketStream, frame

Connect = Callable[..., Any]
LIMITS: dict[str, Any] = {
    "PRESENCE_EVENTS_PER_SECOND": 50,
    "PRESENCE_EVENT_BURST": 100,
    "PRESENCE_FLOOD_SECONDS": 2,
}


@pytest.fixture(scope="module", params=["eventlet", "threading"])
def strict(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Generator[LiveServer]:
    """A server that allows few messages."""
    mode = request.param
    live = LiveServer(tmp_path_factory.mktemp(f"floods-{mode}"), mode=mode, **LIMITS).start()
    yield live
    live.kill()


def joining(room: str, peer_id: str) -> dict[str, Any]:
    return {"room_name": room, "peer_id": peer_id, "username": peer_id.title()}


def broadcasts(numbers: range) -> bytes:
    """Many broadcasts in one piece, each asking for an acknowledgement."""
    return b"".join(
        frame(TEXT, b"42%d" % number + json.dumps(["broadcast", body]).encode())
        for number in numbers
        for body in [{"event": "n", "data": number}]
    )


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_burst_passes_at_once_and_what_follows_goes_at_the_rate() -> None:
    clock = Clock()
    pace = TokenBucket(per_second=100, burst=3000, clock=clock)
    assert {pace.take() for _ in range(3000)} == {0.0}
    for _ in range(500):
        wait = pace.take()
        assert 0 < wait <= 0.0100001
        clock.now += wait
    assert pace.slowed_for() == pytest.approx(5.0, abs=0.02)
    clock.now += 1.01
    assert pace.take() == 0
    assert pace.slowed_for() == 0


def test_a_second_of_pause_is_enough_whatever_the_burst() -> None:
    for burst in (0, 1, 7):
        clock = Clock()
        pace = TokenBucket(per_second=10, burst=burst, clock=clock)
        while not pace.take():
            pass
        clock.now += 1.2
        assert pace.take() == 0
        assert pace.slowed_since is None


def test_a_steady_sender_at_the_limit_is_never_slowed() -> None:
    clock = Clock()
    pace = TokenBucket(per_second=100, burst=50, clock=clock)
    for _ in range(10_000):
        clock.now += 0.01
        assert pace.take() == 0


def test_the_limit_leaves_room_for_a_thousand_events_in_a_row() -> None:
    assert Settings().event_burst >= 3 * 1000


def test_a_flooding_socket_is_slowed_then_warned_then_closed(
    strict: LiveServer, connect: Connect, room: str
) -> None:
    watcher = connect(strict)
    watcher.call("join_room", joining(room, "watcher"))
    # The watcher's library hands each event to a thread, which may change their order.
    listener = WebSocketStream(strict)
    listener.emit("join_room", joining(room, "listener"))
    flooder = WebSocketStream(strict)
    flooder.emit("join_room", joining(room, "flooder"))
    shows(watcher, "flooder", is_active=True)
    began = time.monotonic()
    flooder.send(broadcasts(range(1000)))
    warning = flooder.event("slow_down")
    assert (warning["code"], warning["limit"], warning["retry_after"]) == (
        "too_many_events",
        50,
        1,
    )
    # The watcher is at ease meanwhile.
    assert watcher.call("update_user_data", {"user_data": {"at": "ease"}})["ok"]
    last = flooder.event("slow_down")
    assert last["code"] == "flooding"
    assert 1.9 < time.monotonic() - began < 8
    assert flooder.wait_for("41") == "41"
    assert flooder.ends()
    shows(watcher, "flooder", is_active=False)
    # What was handled came in order, and no faster than the limit lets it.
    heard = sorted(body["data"] for body in events(watcher, "broadcast"))
    assert heard == list(range(len(heard)))
    assert [listener.event("broadcast")["data"] for _ in heard] == heard
    assert 100 <= len(heard) < 100 + 50 * 4
    assert "flooding" in strict.log_text()


@pytest.mark.parametrize("transport", ["websocket", "polling"])
def test_a_client_that_pauses_when_it_is_warned_loses_nothing(
    strict: LiveServer, connect: Connect, room: str, transport: str
) -> None:
    watcher = connect(strict)
    watcher.call("join_room", joining(room, "watcher"))
    eager = connect(strict, "javascript", [transport])
    eager.call("join_room", joining(room, "eager"))
    for number in range(140):
        eager.emit("broadcast", {"event": "n", "data": number})
    hears(eager, "slow_down", lambda body: body["code"] == "too_many_events")
    hears(watcher, "broadcast", lambda body: body["data"] == 139)
    # Longer than the flood may take; it is over, though.
    rested = time.monotonic() + 2.2
    eventually(lambda: time.monotonic() > rested, "the pause is over")
    for number in range(140, 200):
        eager.emit("broadcast", {"event": "n", "data": number})
    hears(watcher, "broadcast", lambda body: body["data"] == 199)
    assert [body["data"] for body in events(watcher, "broadcast")] == list(range(200))
    assert {body["code"] for body in events(eager, "slow_down")} == {"too_many_events"}
    assert eager.connected


def test_a_stock_client_that_was_shown_out_does_not_come_back_by_itself(
    strict: LiveServer, connect: Connect, room: str
) -> None:
    watcher = connect(strict)
    watcher.call("join_room", joining(room, "watcher"))
    flooder = connect(strict, "javascript")
    flooder.call("join_room", joining(room, "flooder"))
    for number in range(600):
        flooder.emit("broadcast", {"event": "n", "data": number})
    hears(flooder, "slow_down", lambda body: body["code"] == "flooding")
    shows(watcher, "flooder", is_active=False)
    gone = time.monotonic()
    eventually(lambda: time.monotonic() > gone + 2, "the time in which a client would be back")
    assert not flooder.connected


@pytest.mark.parametrize("packet", ["40", "43[]", "430[1]", "41", '42["no_such_event"]'])
def test_packets_of_every_kind_count(strict: LiveServer, packet: str) -> None:
    flooder = WebSocketStream(strict)
    flooder.send(frame(TEXT, packet.encode()) * 150)
    assert flooder.wait_for('42["slow_down"')
    assert WebSocketStream(strict).status == 101
    assert "Traceback" not in strict.log_text()
