"""Whoever watches over the server learns that it lives, and why it cannot serve."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import requests

from app import create_app
from local_cluster.live_server import LiveServer
from local_cluster.waiting import eventually
from presence.config import VERSION, Settings


def ready(server: LiveServer) -> tuple[int, Any]:
    response = requests.get(f"{server.url}/readyz", timeout=10)
    return response.status_code, response.json()


def becomes(server: LiveServer, status: int) -> Any:
    """Wait for a status, since an answer is repeated for a moment; return its body."""
    return eventually(
        lambda: answer[1] if (answer := ready(server))[0] == status else None,
        f"/readyz answers {status}",
    )


def test_a_server_says_what_keeps_it_from_serving(new_server: Callable[..., LiveServer]) -> None:
    server = new_server()
    assert ready(server)[0] == 200

    moved = server.uploads.rename(server.uploads.with_name("elsewhere"))
    server.uploads.write_text("no folder")
    body = becomes(server, 503)
    assert (body["code"], list(body["reasons"])) == ("not_ready", ["uploads"])
    assert body["detail"] == body["reasons"]["uploads"]
    server.uploads.unlink()
    moved.rename(server.uploads)
    becomes(server, 200)
    assert server.stored_files() == []

    with sqlite3.connect(server.database) as other:
        other.execute("BEGIN IMMEDIATE")
        eventually(lambda: ready(server)[0] == 503, "the missing writes are noticed", 20, 0.2)
        assert list(ready(server)[1]["reasons"]) == ["database"]
        # The process lives, and nothing is gained by killing it.
        alive = requests.get(f"{server.url}/healthz", timeout=5)
        assert (alive.status_code, alive.json()) == (
            200,
            {"status": "alive", "version": VERSION},
        )
        other.rollback()
    eventually(lambda: ready(server)[0] == 200, "the database is written to again", 20, 0.2)


def test_a_server_that_stops_is_not_ready(tmp_path: Path) -> None:
    app = create_app(
        Settings(database_url=f"sqlite:///{tmp_path}/x.db", upload_dir=str(tmp_path / "up"))
    )
    client = app.test_client()
    assert client.get("/readyz").status_code == 200
    app.extensions["presence"].stopping = True
    response = client.get("/readyz")
    assert response.status_code == 503
    assert response.get_json()["reasons"] == {"shutdown": "The server is shutting down."}
    assert client.get("/healthz").status_code == 200


def test_a_full_disk_and_a_missing_redis_are_named(tmp_path: Path) -> None:
    app = create_app(
        Settings(
            database_url=f"sqlite:///{tmp_path}/x.db",
            upload_dir=str(tmp_path / "up"),
            min_free_disk_bytes=2**60,
        )
    )
    client = app.test_client()
    response = client.get("/readyz")
    assert (response.status_code, list(response.get_json()["reasons"])) == (503, ["disk"])
    run = app.extensions["presence"]
    # The upkeep goes on meanwhile, and looks after the cluster too.
    run.cluster = SimpleNamespace(up=False, look_after=lambda: None)
    eventually(lambda: "redis" in client.get("/readyz").get_json()["reasons"], "Redis is named")
