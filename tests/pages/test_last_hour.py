"""The figures of the last hour: minute by minute, of a fixed size, and which limits were hit."""

from __future__ import annotations

from typing import Any

from flask.testing import FlaskClient

from presence.transport.pages.last_hour import MINUTES, LastHour
from presence.transport.process.runtime import Runtime


def test_each_minute_has_what_came_in_it_and_an_hour_is_all_that_is_kept(
    client: FlaskClient,
) -> None:
    run: Runtime = client.application.extensions["presence"]
    hour, counters = LastHour(run), run.counters
    assert hour.series("messages") == [0.0] * MINUTES
    for minute in range(MINUTES + 5):
        counters.events["state", "ok"] += minute
        counters.announcing.observe(0.002)
        counters.announcing.observe(0.004)
        run.switchboard.enter(f"sid{minute}", "studio", "ada")
        hour.note()
    assert hour.series("messages") == [float(n) for n in range(5, MINUTES + 5)]
    assert [round(value, 6) for value in hour.series("latency")] == [3.0] * MINUTES
    # One who is there twice is one.
    assert hour.series("people")[-1] == 1


def test_limits_are_those_that_somebody_hit_lately(client: FlaskClient) -> None:
    run: Runtime = client.application.extensions["presence"]
    counters = run.counters
    counters.events["join_room", "room_full"] += 5
    hour = LastHour(run)
    assert hour.limits() == []
    counters.events["join_room", "room_full"] += 2
    counters.events["signal", "not_joined"] += 9
    counters.requests["POST", "/api/webrtc/upload", "413"] += 1
    counters.disconnects["slow reader"] += 3
    counters.stalls.observe(0.05)
    counters.stalls.observe(0.7)

    def hit() -> dict[str, tuple[int, int]]:
        return {name: (count, ago) for name, count, ago in hour.limits()}

    wanted: dict[str, Any] = {
        "join_room: room_full": (2, 0),
        "413 /api/webrtc/upload": (1, 0),
        "connection ended: slow reader": (3, 0),
    }
    assert hit() == wanted
    assert hour.stalls() == 1
    for _ in range(3):
        hour.note()
    assert hit()["join_room: room_full"] == (2, 3)
    for _ in range(MINUTES):
        hour.note()
    assert (hour.limits(), hour.stalls()) == ([], 0)
