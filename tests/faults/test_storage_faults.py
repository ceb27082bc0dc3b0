"""Faults of the database and the disk: answered with a sentence, and over when they are over."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import requests

from local_cluster.live_server import LiveServer
from local_cluster.ports import free_port
from local_cluster.waiting import eventually
from tests.faults.locked_database import locked
from tests.support.clients import shows
from tests.support.paths import ROOT
from tests.support.rest import Rest, refusal

NewServer = Callable[..., LiveServer]
Connect = Callable[..., Any]
BOB = {"room_name": "r", "peer_id": "bob", "username": "Bob"}


@pytest.mark.parametrize("mode", ["eventlet", "threading"])
def test_a_locked_database_is_answered_and_everybody_stays(
    new_server: NewServer, connect: Connect, mode: str
) -> None:
    server = new_server(mode)
    rest = Rest(server)
    bob, carol = connect(server), connect(server)
    bob.call("join_room", BOB)
    carol.call("join_room", {**BOB, "peer_id": "carol"})
    with locked(server):
        assert refusal(rest.join("r", "alice")) == (503, "storage_unavailable")
        assert (
            bob.call("update_user_data", {"user_data": {"x": 1}})["code"] == "storage_unavailable"
        )
        assert rest.get("/rooms/r").json()["active_peer_count"] == 2, "reading goes on"
        carol.disconnect()  # cannot be recorded now, and must not be forgotten
    assert rest.join("r", "alice").status_code == 200
    assert bob.call("update_user_data", {"user_data": {"x": 2}})["ok"]
    shows(bob, "carol", is_active=False)


def test_a_lock_of_a_moment_is_waited_for(new_server: NewServer) -> None:
    server = new_server()
    rest = Rest(server)
    process = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import sqlite3, sys, time\n"
            "c = sqlite3.connect(sys.argv[1], isolation_level=None)\n"
            "c.execute('BEGIN IMMEDIATE'); print('locked', flush=True)\n"
            "time.sleep(1); c.rollback()\n",
            str(server.database),
        ],
        stdout=subprocess.PIPE,
    )
    assert process.stdout
    assert process.stdout.readline() == b"locked\n"
    assert rest.join("r", "alice").status_code == 200
    process.wait(10)


@pytest.mark.parametrize("command", [["app.py"], ["-m", "gunicorn"]])
def test_a_second_process_on_one_file_refuses_to_start_and_disturbs_nobody(
    new_server: NewServer, connect: Connect, command: list[str]
) -> None:
    server = new_server()
    bob = connect(server)
    bob.call("join_room", BOB)
    second = subprocess.run(
        [sys.executable, *command],
        cwd=ROOT,
        env={**os.environ, **server.settings, "PORT": str(free_port())},
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert second.returncode != 0
    assert "Another process" in second.stderr
    assert "Traceback" not in second.stderr
    assert Rest(server).get("/rooms/r").json()["active_peer_count"] == 1
    assert bob.call("update_user_data", {"user_data": {"x": 1}})["ok"]


def test_a_damaged_database_stops_the_start_and_is_left_untouched(new_server: NewServer) -> None:
    server = new_server()
    rest = Rest(server)
    for number in range(50):
        rest.join("r", f"peer {number}", data="x" * 500)
    server.kill()
    with sqlite3.connect(server.database) as database:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    database.close()
    content = bytearray(server.database.read_bytes())
    content[4096 * 3 : 4096 * 8] = b"\xff" * 4096 * 5
    for damaged in (bytes(content), b"this is no database at all, but a text" * 100):
        server.database.write_bytes(damaged)
        for leftover in ("-wal", "-shm"):
            Path(f"{server.database}{leftover}").unlink(missing_ok=True)
        with pytest.raises(AssertionError, match="damaged"):
            server.start()
        assert server.database.read_bytes() == damaged
        assert "Traceback" not in server.log_text()


def upload(server: LiveServer, size: int) -> requests.Response:
    return requests.post(
        f"{server.url}/api/webrtc/upload",
        files={"file": ("a.txt", b"x" * size)},
        data={"room_name": "r", "peer_id": "alice"},
        timeout=30,
    )


def test_a_full_upload_disk_is_answered_and_usable_when_there_is_room_again(
    new_server: NewServer, small_disk: Path
) -> None:
    server = new_server(UPLOAD_DIR=small_disk / "uploads", PRESENCE_MIN_FREE_DISK_BYTES=0)
    rest = Rest(server)
    rest.join("r", "alice")
    first = upload(server, 3_000_000).json()
    assert refusal(upload(server, 3_000_000)) == (507, "storage_full")
    assert rest.join("r", "bob").status_code == 200, "presence stays up"
    assert len([path for path in (small_disk / "uploads").rglob("*") if path.is_file()]) == 1
    assert rest.delete(f"/rooms/r/files/{first['filename']}").status_code == 200
    assert upload(server, 3_000_000).status_code == 200


def test_an_upload_folder_that_cannot_be_written_is_answered(
    new_server: NewServer, small_disk: Path
) -> None:
    server = new_server(UPLOAD_DIR=small_disk / "uploads", PRESENCE_MIN_FREE_DISK_BYTES=0)
    rest = Rest(server)
    rest.join("r", "alice")
    stored = upload(server, 1000).json()

    def remount(how: str) -> None:
        subprocess.run(["mount", "-o", f"remount,{how}", str(small_disk)], check=True)

    remount("ro")
    assert refusal(upload(server, 1000)) == (503, "storage_unavailable")
    path = f"/rooms/r/files/{stored['filename']}"
    assert refusal(rest.delete(path)) == (503, "storage_unavailable")
    assert refusal(rest.delete("/rooms/r/peers/alice")) == (503, "storage_unavailable")
    assert requests.get(server.url + stored["file_url"], timeout=10).status_code == 200
    assert rest.join("r", "bob").status_code == 200, "presence stays up"
    remount("rw")
    assert upload(server, 1000).status_code == 200
    assert rest.delete(path).status_code == 200


def test_a_full_database_disk_is_answered_and_usable_when_there_is_room_again(
    new_server: NewServer, small_disk: Path
) -> None:
    server = new_server(
        DATABASE_URL=f"sqlite:///{small_disk}/presence.db", PRESENCE_MIN_FREE_DISK_BYTES=0
    )
    rest = Rest(server)
    assert rest.join("r", "alice").status_code == 200
    filler = small_disk / "filler"
    with filler.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(b"x" * 4096)
        except OSError:
            pass
    answers = (rest.join("r", f"p{number}", d="x" * 15_000) for number in range(300))
    refused = next(answer for answer in answers if answer.status_code != 200)
    assert refusal(refused)[1] in {"storage_full", "storage_unavailable"}
    assert rest.get("/rooms/r").status_code == 200
    filler.unlink()
    eventually(lambda: rest.join("r", "last").status_code == 200, "it works again")
    server.kill()
    with sqlite3.connect(small_disk / "presence.db") as database:
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    database.close()
