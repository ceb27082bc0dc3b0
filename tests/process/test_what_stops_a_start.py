"""What stops a start is one sentence with what to do, whichever way the server is started."""

from __future__ import annotations

import logging
import os
import resource
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from app import create_app
from local_cluster.live_server import LiveServer
from local_cluster.ports import free_port
from local_cluster.private_postgresql import PrivatePostgresql, database_name
from presence.config import Settings
from presence.storage import schema
from presence.storage.database import CannotServe
from presence.transport.commands import listening
from tests.support.paths import ROOT

WAYS = {
    "gunicorn": ["-m", "gunicorn"],
    "python app.py": ["app.py"],
    "flask run": ["-m", "flask", "run"],
    "flask run --debug": ["-m", "flask", "run", "--debug"],
}


def tables_of_another_program(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE invoices (id INTEGER)")


def tables_of_another_migration(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE alembic_version (version_num TEXT)")
        connection.execute("INSERT INTO alembic_version VALUES ('1a2b3c4d5e6f')")


def tables_of_a_newer_version(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE alembic_version (version_num TEXT)")
        connection.execute("INSERT INTO alembic_version VALUES ('9999')")


def rooms_of_somebody_else(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE rooms (beds INTEGER)")


BROKEN_FILES: dict[str, tuple[Callable[[Path], Any], str]] = {
    "no database": (lambda path: path.write_bytes(b"x" * 9000), "is damaged"),
    "a folder": (lambda path: path.mkdir(), "Is a directory. Name a file"),
    "a circle": (lambda path: path.symlink_to(path), "symbolic links. Name a file"),
    "locked by a folder": (
        lambda path: path.with_name("presence.db.lock").mkdir(),
        "presence.db.lock: Is a directory",
    ),
    "another program's": (tables_of_another_program, "tables of another program (invoices)"),
    "another program's migrations": (tables_of_another_migration, "belongs to another program"),
    "another program's rooms": (rooms_of_somebody_else, "tables of another program (rooms)"),
    "a newer version's": (tables_of_a_newer_version, "of a version that this one does not know"),
}


def why_not(**settings: Any) -> str:
    """Return the sentence with which a server with these settings does not start."""
    with pytest.raises(CannotServe) as raised:
        create_app(Settings(**settings)).extensions["presence"].start()
    says = str(raised.value)
    assert "\n" not in says
    assert len(says) < 500
    return says


@pytest.mark.parametrize("broken", BROKEN_FILES)
def test_a_database_file_that_cannot_be_served_is_told_and_left_as_it_is(
    broken: str, tmp_path: Path
) -> None:
    spoil, says = BROKEN_FILES[broken]
    file = tmp_path / "presence.db"
    spoil(file)
    before = file.read_bytes() if file.is_file() else b""
    settings = {"database_url": f"sqlite:///{file}", "upload_dir": str(tmp_path / "up")}
    assert says in why_not(**settings)
    if file.is_file():
        with sqlite3.connect(file) as connection:
            # What is in it, for SQLite itself writes how it keeps its log.
            if broken != "no database":
                names = connection.execute("SELECT name FROM sqlite_master").fetchall()
                assert len(names) == 1
            else:
                assert file.read_bytes() == before


def test_any_characters_may_be_in_the_paths_of_database_and_uploads(tmp_path: Path) -> None:
    odd = tmp_path / "ü b?c#d%20e:@[f]"
    url = f"sqlite:///{quote(str(odd / 'presence.db'))}"
    create_app(Settings(database_url=url, upload_dir=str(odd / "up"))).extensions[
        "presence"
    ].start()
    assert {path.name for path in odd.iterdir()} >= {"presence.db", "presence.db.lock", "up"}


def test_a_folder_that_cannot_be_written_to_is_named_with_its_setting(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for folder in (f"{tmp_path}/file/below", "/proc/presence"):
        good = {"database_url": f"sqlite:///{tmp_path}/x.db", "upload_dir": str(tmp_path / "up")}
        says = why_not(**{**good, "database_url": f"sqlite:///{folder}/presence.db"})
        assert folder in says
        assert "DATABASE_URL=" in says
        says = why_not(**{**good, "upload_dir": folder})
        assert folder in says
        assert "UPLOAD_DIR=" in says


def test_a_database_that_another_program_holds_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A start waits for a minute, as another one may be bringing the tables up to date.
    monkeypatch.setattr(schema, "_TIMEOUT_MS", 500)
    file = tmp_path / "presence.db"
    with sqlite3.connect(file, isolation_level=None) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("BEGIN EXCLUSIVE")
        says = why_not(database_url=f"sqlite:///{file}", upload_dir=str(tmp_path / "up"))
    assert "Another program holds it" in says


def test_a_postgresql_that_cannot_be_used_is_told_without_its_password(
    postgresql: PrivatePostgresql, tmp_path: Path
) -> None:
    good = postgresql.new_database()
    for url, says in (
        (f"postgresql://u:hidden@127.0.0.1:{free_port()}/x", "Start PostgreSQL"),
        ("postgresql://u:hidden@presence.invalid/x", "correct host and port"),
        (good.replace(f"/{database_name(good)}?", "/none?"), "createdb"),
        (good.replace("//presence@", "//nobody:hidden@"), "Correct user and password"),
    ):
        told = why_not(database_url=url, upload_dir=str(tmp_path / "up"))
        assert says in told, told
        assert "hidden" not in told


def test_a_bucket_that_will_not_do_stops_the_start_and_one_that_is_away_does_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    settings: dict[str, Any] = {
        "database_url": f"sqlite:///{tmp_path}/x.db",
        "upload_dir": str(tmp_path / "up"),
        "upload_url": "s3://bucket/prefix",
        "s3_endpoint": f"http://127.0.0.1:{free_port()}",
    }
    assert "AWS_ACCESS_KEY_ID" in why_not(**settings)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    create_app(Settings(**{**settings, "database_url": f"sqlite:///{tmp_path}/y.db"})).extensions[
        "presence"
    ].start()
    (told,) = [record for record in caplog.records if "bucket" in record.getMessage()]
    assert told.levelno == logging.WARNING
    assert "uploads are refused" in told.getMessage()


def test_a_redis_that_is_away_at_the_start_is_one_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    settings = Settings(
        database_url=f"sqlite:///{tmp_path}/x.db",
        upload_dir=str(tmp_path / "up"),
        redis_url=f"redis://127.0.0.1:{free_port()}/0",
    )
    create_app(settings).extensions["presence"].start()
    (told,) = [record for record in caplog.records if "Redis" in record.getMessage()]
    assert told.levelno == logging.WARNING
    assert "REDIS_URL" in told.getMessage()


def test_a_limit_of_open_files_that_leaves_no_room_is_one_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if most == resource.RLIM_INFINITY:
        pytest.skip("this machine lets a process open any number of files")
    settings = Settings(
        database_url=f"sqlite:///{tmp_path}/x.db",
        upload_dir=str(tmp_path / "up"),
        max_connections=most,
    )
    create_app(settings).extensions["presence"].start()
    (told,) = [record for record in caplog.records if "ulimit" in record.getMessage()]
    assert told.levelno == logging.WARNING
    assert f"PRESENCE_MAX_CONNECTIONS={most}" in told.getMessage()


def test_an_address_on_which_nothing_can_listen_is_told() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(listening.CannotListen, match=f"choose another port: PORT={port + 1}"):
            listening.check("127.0.0.1", port, patience=0)
    listening.check("127.0.0.1", port)
    for host in ("192.0.2.1", "presence.invalid"):
        with pytest.raises(listening.CannotListen, match="Set HOST to one that is"):
            listening.check(host, port)


@pytest.fixture(scope="module")
def taken() -> Generator[int]:
    """A port on which somebody else listens."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        yield other.getsockname()[1]


@pytest.mark.parametrize(
    ("way", "what"),
    # Where the folder is looked at: in gunicorn's worker, and in the process that is started anew.
    [
        *((way, "port") for way in WAYS),
        *(("gunicorn", "folder"), ("flask run --debug", "folder")),
        *((way, "setting") for way in WAYS if way != "flask run --debug"),
    ],
)
def test_every_way_to_start_ends_at_once_with_the_sentence_alone(
    way: str, what: str, taken: int, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    uploads = tmp_path / ("file/below" if what == "folder" else "uploads")
    settings = {
        **LiveServer.environment,
        "HOST": "127.0.0.1",
        "PORT": {"port": str(taken), "setting": "abc"}.get(what) or str(free_port()),
        "DATABASE_URL": f"sqlite:///{tmp_path}/presence.db",
        "UPLOAD_DIR": str(uploads),
    }
    ended = subprocess.run(
        [sys.executable, *WAYS[way]],
        cwd=ROOT,
        env=os.environ | settings,
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    printed = ended.stdout + ended.stderr
    assert ended.returncode != 0, printed
    assert "ready" not in printed
    assert "Traceback" not in printed
    wanted = {
        "port": f"PORT={taken + 1}",
        "folder": "UPLOAD_DIR=",
        "setting": "PORT must be a whole number, not 'abc'.",
    }[what]
    (told,) = [line for line in printed.splitlines() if wanted in line]
    assert len(told) < 400
    assert not [line for line in printed.splitlines() if line != told and "ERROR" in line]
