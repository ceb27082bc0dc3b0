"""The figures at /metrics are what has happened, and cannot be made to grow without end."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import requests
import websocket
from prometheus_client.parser import text_string_to_metric_families

from app import create_app
from local_cluster.live_server import LiveServer
from local_cluster.waiting import eventually
from presence.config import Settings
from tests.support.paths import ROOT

Figures = dict[str, float]
TOKEN = "a-token-for-the-metrics"
OWN_REQUESTS = "presence_http_requests_total{method=GET,route=/metrics,status=200}"


def figures(server: LiveServer) -> Figures:
    """Return every sample as of now, by its name with its labels in order.

    A look rests for a moment, and is answered again. One that was taken after the first answer has
    counted that.
    """
    first = looked(server).get(OWN_REQUESTS, 0)
    return eventually(
        lambda: found if (found := looked(server)).get(OWN_REQUESTS, 0) > first else {},
        "the figures are those of now",
    )


def looked(server: LiveServer) -> Figures:
    """Return the samples of a look at the server, maybe of a moment ago."""
    response = requests.get(
        f"{server.url}/metrics", headers={"Authorization": f"Bearer {TOKEN}"}, timeout=10
    )
    assert response.status_code == 200
    return parsed(response.text)


def parsed(text: str) -> Figures:
    found = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            labels = ",".join(f"{name}={value}" for name, value in sorted(sample.labels.items()))
            found[f"{sample.name}{{{labels}}}" if labels else sample.name] = sample.value
    return found


@pytest.fixture(scope="module")
def counted(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A server of these tests, which ask it for its figures with a token."""
    live = LiveServer(
        tmp_path_factory.mktemp("counted"),
        PRESENCE_METRICS_TOKEN=TOKEN,
        PRESENCE_PING_INTERVAL=0.3,
        PRESENCE_PING_TIMEOUT=1.5,
    ).start()
    yield live
    live.kill()


def test_everything_that_happens_is_counted(
    counted: LiveServer, connect: Callable[..., Any], room: str
) -> None:
    before = figures(counted)
    ada, bo = connect(counted), connect(counted)
    for client, name in ((ada, "ada"), (bo, "bo")):
        assert client.call("join_room", {"room_name": room, "peer_id": name, "username": name})[
            "ok"
        ]
    assert not ada.call("update_user_data", {"user_data": 1})["ok"]
    files = {"file": ("a.txt", b"hello")}
    form = {"room_name": room, "peer_id": "ada"}
    upload = requests.post(f"{counted.url}/api/webrtc/upload", data=form, files=files, timeout=10)
    assert upload.status_code == 200
    bo.call("leave_room", {})
    after = figures(counted)

    def gained(name: str) -> float:
        return after.get(name, 0) - before.get(name, 0)

    assert gained("presence_rooms") == 1
    assert gained("presence_peers{state=active}") == 1
    assert gained("presence_peers{state=inactive}") == 1
    assert gained("presence_sessions{kind=socket}") == 1
    assert gained("presence_connections{transport=websocket}") == 2
    assert gained("presence_events_total{event=join_room,outcome=ok}") == 2
    assert gained("presence_events_total{event=update_user_data,outcome=invalid_field}") == 1
    assert gained("presence_events_total{event=leave_room,outcome=ok}") == 1
    assert gained("presence_uploads_total") == gained("presence_files") == 1
    assert gained("presence_upload_bytes_total") == gained("presence_file_bytes") == 5
    assert (
        gained("presence_http_requests_total{method=POST,route=/api/webrtc/upload,status=200}") == 1
    )
    eventually(
        lambda: (
            figures(counted)["presence_announce_seconds_count"]
            - before["presence_announce_seconds_count"]
            >= 2
        ),
        "the first change and those that followed are announced",
    )
    assert gained("presence_announce_seconds_sum") > 0
    assert after["presence_database_up"] == 1
    assert after["process_resident_memory_bytes"] > 10_000_000

    ada.disconnect()
    bo.kill()
    eventually(lambda: ended(figures(counted)) >= ended(before) + 2, "their ends are counted")


def ended(found: Figures) -> float:
    """Return how many connections ended, for whatever reason."""
    return sum(n for name, n in found.items() if name.startswith("presence_disconnects_total"))


def test_names_that_a_client_makes_up_make_no_new_figures(
    counted: LiveServer, connect: Callable[..., Any]
) -> None:
    client = connect(counted)
    client.call("made_up", {})
    requests.get(f"{counted.url}/nowhere", timeout=10)
    requests.request("BREW", f"{counted.url}/api/webrtc/rooms", timeout=10)
    known = figures(counted)
    for number in range(30):
        client.call(f"made_up_{number}", {})
        client.call(f"join_room_{number}", {})
        requests.get(f"{counted.url}/nowhere/{number}", timeout=10)
        requests.request(f"BREW{number}", f"{counted.url}/api/webrtc/rooms", timeout=10)
    after = figures(counted)
    assert set(after) - set(known) <= {
        "presence_http_requests_total{method=GET,route=/metrics,status=200}"
    }
    name = "presence_events_total{event=unknown,outcome=unknown_event}"
    assert after[name] - known[name] == 60


def test_a_client_that_falls_silent_is_counted_as_evicted(counted: LiveServer, room: str) -> None:
    before = figures(counted)
    silent = websocket.create_connection(
        counted.url.replace("http", "ws") + "/socket.io/?EIO=4&transport=websocket", timeout=10
    )
    silent.recv()
    silent.send("40")
    silent.recv()
    silent.send(f'420["join_room",{{"room_name":"{room}","peer_id":"s","username":"S"}}]')
    evicted = "presence_evictions_total{reason=ping_timeout}"
    eventually(lambda: figures(counted)[evicted] == before[evicted] + 1, "it is given up")
    silent.close()
    after = figures(counted)
    assert after["presence_disconnects_total{reason=ping_timeout}"] >= 1
    outlived = "presence_ghost_seconds_sum{kind=socket}"
    # It was shown active while it did not answer: from its ping until the timeout.
    assert 0.3 <= after[outlived] - before[outlived] < 5


def test_sessions_that_outlived_a_crash_are_counted(
    new_server: Callable[..., LiveServer], connect: Callable[..., Any], room: str
) -> None:
    server = new_server(PRESENCE_METRICS_TOKEN=TOKEN)
    ada = connect(server)
    assert ada.call("join_room", {"room_name": room, "peer_id": "ada", "username": "A"})["ok"]
    assert figures(server)["presence_ghost_seconds_count{kind=worker}"] == 0
    server.kill()
    died = time.monotonic()
    server.start()
    took = time.monotonic() - died
    after = figures(server)
    assert after["presence_ghost_seconds_count{kind=worker}"] == 1
    # The worker renewed its lease at most two seconds (and a little) before it died.
    assert 0 < after["presence_ghost_seconds_sum{kind=worker}"] < took + 5
    assert after["presence_peers{state=active}"] == 0


def test_figures_ask_for_the_token_that_is_set(counted: LiveServer) -> None:
    for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": "Basic YTpi"}):
        refused = requests.get(f"{counted.url}/metrics", headers=headers, timeout=10)
        assert refused.status_code == 401
        assert refused.headers["WWW-Authenticate"] == "Bearer"
        assert refused.json()["code"] == "metrics_token_required"


def test_figures_are_given_without_the_database_too(tmp_path: Path) -> None:
    app = create_app(
        Settings(database_url=f"sqlite:///{tmp_path}/x.db", upload_dir=str(tmp_path / "up"))
    )
    client = app.test_client()
    assert parsed(client.get("/metrics").text)["presence_database_up"] == 1
    with app.app_context():
        engine = app.extensions["sqlalchemy"].engine
        with engine.begin() as connection:
            connection.exec_driver_sql("ALTER TABLE peers RENAME TO lost")
    up = "presence_database_up"
    found = eventually(
        lambda: now if not (now := parsed(client.get("/metrics").text))[up] else {},
        "the figures say that the database is away",
    )
    assert "presence_peers{state=active}" not in found
    assert "presence_queue_bytes" in found


def test_every_figure_stands_in_the_documents(counted: LiveServer) -> None:
    text = requests.get(
        f"{counted.url}/metrics", headers={"Authorization": f"Bearer {TOKEN}"}, timeout=10
    ).text
    table = (ROOT / "docs" / "operations.md").read_text()
    names = re.findall(r"^# TYPE (presence_\w+)", text, re.MULTILINE)
    assert len(names) > 15
    for name in names:
        assert f"`{name}`" in table, name
    for name in re.findall(r"`(presence_\w+)`", table):
        assert name in names, name
