"""`flask doctor` names what is wrong with an installation: each is broken for real."""

from __future__ import annotations

import json
import os
import resource
import socket
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
import redis

from app import create_app
from local_cluster.live_server import LiveServer
from local_cluster.ports import free_port
from local_cluster.private_postgresql import PrivatePostgresql
from presence.config import VERSION, Settings
from presence.storage.models import db
from tests.support.commands import flask
from tests.support.keys import LOCKED

Changes = dict[str, str]


def nothing(_folder: Path) -> Iterator[Changes]:
    yield {}


def mistyped(_folder: Path) -> Iterator[Changes]:
    os.environ["PRESENCE_MAX_PEER"] = "7"
    yield {}
    del os.environ["PRESENCE_MAX_PEER"]


def idle_setting(_folder: Path) -> Iterator[Changes]:
    yield {"PRESENCE_S3_ENDPOINT": "http://127.0.0.1:9"}


def no_folder_for_the_database(folder: Path) -> Iterator[Changes]:
    (folder / "file").write_text("")
    yield {"DATABASE_URL": f"sqlite:///{folder}/file/below/x.db"}


def no_database(folder: Path) -> Iterator[Changes]:
    (folder / "presence.db").write_bytes(b"x" * 9000)
    yield {}


def damaged(folder: Path) -> Iterator[Changes]:
    started(folder)
    file = folder / "presence.db"
    size = file.stat().st_size
    with file.open("r+b") as database:
        database.seek(4096)
        database.write(b"\xff" * (size - 4096))
    yield {}


def foreign(folder: Path) -> Iterator[Changes]:
    with sqlite3.connect(folder / "presence.db") as connection:
        connection.execute("CREATE TABLE invoices (id INTEGER)")
    yield {}


def newer(folder: Path) -> Iterator[Changes]:
    started(folder)
    with sqlite3.connect(folder / "presence.db") as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    yield {}


def older(folder: Path) -> Iterator[Changes]:
    started(folder)
    with sqlite3.connect(folder / "presence.db") as connection:
        connection.execute("UPDATE alembic_version SET version_num = '0001'")
    yield {}


def a_folder(folder: Path) -> Iterator[Changes]:
    (folder / "presence.db").mkdir()
    yield {}


def a_circle(folder: Path) -> Iterator[Changes]:
    (folder / "presence.db").symlink_to(folder / "presence.db")
    yield {}


def a_lock_that_is_a_folder(folder: Path) -> Iterator[Changes]:
    (folder / "presence.db.lock").mkdir()
    yield {}


def paused(folder: Path) -> Iterator[Changes]:
    started(folder)
    with sqlite3.connect(folder / "presence.db") as connection:
        since = "2026-05-04 12:00:00.000000"
        connection.execute("INSERT INTO maintenance VALUES (1, ?, 'Back soon.')", (since,))
    yield {}


def held(folder: Path) -> Iterator[Changes]:
    started(folder)
    with sqlite3.connect(folder / "presence.db", isolation_level=None) as connection:
        connection.execute("PRAGMA locking_mode=EXCLUSIVE")
        connection.execute("BEGIN EXCLUSIVE")
        yield {}


def postgresql_away(_folder: Path) -> Iterator[Changes]:
    yield {"DATABASE_URL": f"postgresql://u:hidden@127.0.0.1:{free_port()}/x"}


def uploads_in_a_file(folder: Path) -> Iterator[Changes]:
    (folder / "file").write_text("")
    yield {"UPLOAD_DIR": str(folder / "file" / "uploads")}


def full_disk(_folder: Path) -> Iterator[Changes]:
    yield {"PRESENCE_MIN_FREE_DISK_BYTES": str(2**53)}


def readable(folder: Path) -> Iterator[Changes]:
    started(folder)
    folder.chmod(0o755)
    (folder / "presence.db").chmod(0o644)
    yield {}


def readable_uploads(folder: Path) -> Iterator[Changes]:
    started(folder)
    folder.chmod(0o755)
    (folder / "uploads").chmod(0o755)
    (folder / "uploads" / "a.txt").write_text("")
    (folder / "uploads" / "a.txt").chmod(0o644)
    yield {}


def taken(_folder: Path) -> Iterator[Changes]:
    with socket.create_server(("127.0.0.1", 0)) as other:
        yield {"PORT": str(other.getsockname()[1])}


def no_such_address(_folder: Path) -> Iterator[Changes]:
    yield {"HOST": "192.0.2.1"}


def redis_away(_folder: Path) -> Iterator[Changes]:
    yield {"REDIS_URL": f"redis://127.0.0.1:{free_port()}"}


def bucket_away(_folder: Path) -> Iterator[Changes]:
    yield {
        "UPLOAD_URL": "s3://bucket",
        "PRESENCE_S3_ENDPOINT": f"http://127.0.0.1:{free_port()}",
    }


def open_to_all(_folder: Path) -> Iterator[Changes]:
    yield {"HOST": "0.0.0.0"}


def unknown_proxy(_folder: Path) -> Iterator[Changes]:
    yield {**LOCKED, "PRESENCE_ALLOWED_HOSTS": "presence.example.org"}


def proxies_passed_by(_folder: Path) -> Iterator[Changes]:
    yield {"HOST": "0.0.0.0", "PRESENCE_TRUSTED_PROXIES": "1"}


def few_files(_folder: Path) -> Iterator[Changes]:
    if resource.getrlimit(resource.RLIMIT_NOFILE)[1] == resource.RLIM_INFINITY:
        pytest.skip("this machine lets a process open any number of files")
    yield {"PRESENCE_MAX_CONNECTIONS": str(2**31 - 1)}


def clock_behind(folder: Path) -> Iterator[Changes]:
    started(folder)
    tomorrow = time.time() + 86_400
    os.utime(folder / "presence.db", (tomorrow, tomorrow))
    yield {}


BROKEN: dict[Callable[[Path], Iterator[Changes]], tuple[str, str, str]] = {
    mistyped: ("settings", "warning", "is PRESENCE_MAX_PEERS meant?"),
    idle_setting: ("settings", "warning", "PRESENCE_S3_ENDPOINT changes nothing"),
    no_folder_for_the_database: ("database", "fault", "file/below/x.db cannot be used"),
    no_database: ("database", "fault", "is damaged"),
    damaged: ("database", "fault", "is damaged"),
    foreign: ("database", "fault", "another program (invoices)"),
    newer: ("database", "fault", "of a version that this one does not know"),
    older: ("migrations", "warning", "Back the database up first"),
    a_folder: ("database", "fault", "Is a directory. Name a file"),
    a_circle: ("database", "fault", "symbolic links. Name a file"),
    a_lock_that_is_a_folder: ("database", "fault", "presence.db.lock: Is a directory"),
    paused: ("maintenance", "warning", "since 2026-05-04T12:00:00.000Z (Back soon.)"),
    held: ("database", "fault", "Another program holds it"),
    postgresql_away: ("database", "fault", "Start PostgreSQL"),
    uploads_in_a_file: ("uploads", "fault", "UPLOAD_DIR="),
    full_disk: ("disk", "fault", "Make room"),
    readable_uploads: ("modes", "warning", "uploads may be read by everybody"),
    readable: ("modes", "warning", "chmod o-rwx"),
    taken: ("address", "fault", "another program listens there"),
    no_such_address: ("address", "fault", "Set HOST"),
    redis_away: ("redis", "fault", "correct REDIS_URL"),
    bucket_away: ("bucket", "fault", "Look at UPLOAD_URL"),
    open_to_all: ("mode", "warning", "Set PRESENCE_MODE=locked"),
    unknown_proxy: ("proxies", "warning", "Set PRESENCE_TRUSTED_PROXIES=1"),
    proxies_passed_by: ("proxies", "warning", "Let only them reach the port"),
    few_files: ("open files", "fault", "PRESENCE_MAX_CONNECTIONS"),
    clock_behind: ("clock", "fault", "set it (NTP)"),
}
# What the machine of the tests may have.
OF_THE_MACHINE = {("user", "warning"), ("open files", "warning")}


def started(folder: Path) -> None:
    """Leave behind what a server does that was started once."""
    settings = environment(folder)
    app = create_app(Settings.from_environment(settings))
    app.extensions["presence"].start()
    app.extensions["presence"].stop()
    with app.app_context():
        db.engine.dispose()
    os.chmod(folder / "presence.db", 0o600)
    (folder / "presence.db.lock").unlink()  # this process holds it


def environment(folder: Path) -> Changes:
    return {
        "PORT": str(free_port()),
        "DATABASE_URL": f"sqlite:///{folder}/presence.db",
        "UPLOAD_DIR": str(folder / "uploads"),
    }


def examined(settings: Changes) -> tuple[int, Any]:
    """Return the exit status and the JSON of the doctor for these settings."""
    app = create_app(Settings.from_environment(settings))
    result = app.test_cli_runner().invoke(args=["doctor", "--json"])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exc_info
    return result.exit_code, json.loads(result.output)


@pytest.fixture(autouse=True)
def keys_for_a_bucket(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")


@pytest.mark.parametrize("broken", BROKEN, ids=lambda broken: broken.__name__)
def test_what_is_broken_is_named_and_nothing_else(
    broken: Callable[[Path], Iterator[Changes]], tmp_path: Path
) -> None:
    name, state, says = BROKEN[broken]
    with ExitStack() as stack:
        changes = stack.enter_context(contextmanager(broken)(tmp_path))
        status, body = examined({**environment(tmp_path), **changes})
    assert status == (1 if state == "fault" else 0)
    assert body["ok"] is (state != "fault")
    unwell = [check for check in body["checks"] if check["state"] != "well"]
    told = [check for check in unwell if (check["name"], check["state"]) == (name, state)]
    assert any(says in check["detail"] for check in told), unwell
    others = {(check["name"], check["state"]) for check in unwell} - {(name, state)}
    # Whoever listens for everybody is open to everybody.
    also = {("mode", "warning")} if broken in (proxies_passed_by, no_such_address) else set()
    assert others <= OF_THE_MACHINE | also
    assert "hidden" not in json.dumps(body)
    assert not any("\n" in check["detail"] for check in body["checks"])


def test_a_sound_installation_is_well_before_its_first_start_and_after(tmp_path: Path) -> None:
    for _ in range(2):
        status, body = examined(environment(tmp_path))
        assert (status, body["ok"], body["version"]) == (0, True, VERSION)
        unwell = {(check["name"], check["state"]) for check in body["checks"]} - OF_THE_MACHINE
        assert {state for _, state in unwell} == {"well"}
        started(tmp_path)


def test_it_runs_beside_a_server_and_knows_it(new_server: Callable[..., LiveServer]) -> None:
    server = new_server()
    status, body = examined(server.settings)
    assert status == 0
    said = " ".join(check["detail"] for check in body["checks"])
    assert f"Presence {VERSION} serves on 127.0.0.1:{server.port} now" in said
    assert "serves it" in said


def test_it_looks_at_postgresql_too(postgresql: PrivatePostgresql, tmp_path: Path) -> None:
    url = postgresql.new_database()
    status, body = examined({**environment(tmp_path), "DATABASE_URL": url})
    assert status == 0, body
    assert "no tables yet" in json.dumps(body)
    many = {"DATABASE_URL": url, "PRESENCE_DATABASE_CONNECTIONS": "100000"}
    status, body = examined({**environment(tmp_path), **many})
    assert status == 1
    assert "Raise max_connections" in json.dumps(body)


def test_another_clock_in_redis_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redis.Redis, "time", lambda _self: (int(time.time()) + 3600, 0))
    settings = {**environment(tmp_path), "REDIS_URL": "redis://127.0.0.1:9"}
    status, body = examined(settings)
    assert status == 1
    assert "from that of Redis" in json.dumps(body)


def test_settings_with_which_nothing_starts_are_named_too(tmp_path: Path) -> None:
    result = flask("doctor", **{**environment(tmp_path), "REDIS_URL": "localhost:6379"})
    assert result.returncode == 1, result.stderr
    assert result.stdout.startswith("FAULT settings: REDIS_URL must begin with redis://")
    assert "cannot serve here until the faults are put right" in result.stdout
