"""What stops a start is one sentence with what to do, whichever way the server is started."""

from __future__ import annotations

import logging
import os
import re
import resource
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Generator
from dataclasses import fields
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from app import create_app
from local_cluster.live_server import LiveServer
from local_cluster.ports import free_port
from local_cluster.private_postgresql import PrivatePostgresql, database_name
from presence.config import InvalidSetting, Settings, read_env_file, unknown_settings
from presence.storage.database import CannotServe
from presence.transport.commands import listening
from tests.support.keys import LOCKED
from tests.support.paths import ROOT

WAYS = {
    "gunicorn": ["-m", "gunicorn"],
    "python app.py": ["app.py"],
    "flask run": ["-m", "flask", "run"],
    "flask run --debug": ["-m", "flask", "run", "--debug"],
}
# No setting may have these, whatever its default is.
WRONG: dict[type, list[str]] = {
    int: ["many", "1.5", "-1", "9" * 30, "0x10", "1e3", "1 2"],
    float: ["soon", "nan", "inf", "-1", "1e300", "1,5"],
    bool: ["maybe", "2", "none"],
    str: ["\x07", "a\u2028b", "\x1b[31m"],
}
# What has the wrong form, by setting; the second value says what else is set.
MISSHAPEN: list[tuple[str, list[str], dict[str, str]]] = [
    ("HOST", ["http://127.0.0.1", "127.0.0.1:3001", "a b", "127.0.0.1/", "[::1", "[::1]:80"], {}),
    (
        "DATABASE_URL",
        [
            "presence.db",
            "sqlite://x.db",
            "sqlite:///",
            "mysql://h/x",
            "postgresql:x",
            "postgresql+psycopg://h/x",
            "postgresql://u:p/w@h/x",
            "postgresql://u:p#w@h/x",
        ],
        {},
    ),
    ("REDIS_URL", ["localhost:6379", "localhost", "http://localhost", "redis://", "redis:x"], {}),
    ("UPLOAD_URL", ["bucket", "s3://", "s3:///prefix", "https://bucket", "s3://Big_Name"], {}),
    ("PRESENCE_S3_ENDPOINT", ["localhost:9000", "s3.example.org", "http://"], {}),
    ("PRESENCE_WORKER_NAME", ["A", "a.b", "a" * 17], {}),
    ("PRESENCE_REDIS_PREFIX", ["a b", "a*", "é" * 65], {}),
    ("PRESENCE_PREFIX", ["presence", "/a b", "/..", "//a", "https://a.example/b", "/api"], {}),
    ("PRESENCE_MODE", ["close", "LOCKED"], {}),
    ("PRESENCE_ALLOWED_HOSTS", ["https://a.example", "a.example/x", "1::2::3", "", "*"], LOCKED),
    ("PRESENCE_ALLOWED_ORIGINS", ["a.example", "https://a.example/x", "*"], LOCKED),
    ("SECRET_KEY", ["short"], LOCKED),
    ("PRESENCE_TOKEN_KEYS", ["short", "a:b,a:c"], {}),
    ("PRESENCE_STUN_URLS", ["stun:", "h:3478", "turn:h"], {}),
    ("PRESENCE_TURN_URLS", ["turn:", "https://h", "turn:u@h"], {"PRESENCE_TURN_SECRET": "s"}),
    ("PRESENCE_TURN_SECRET", [""], {"PRESENCE_TURN_URLS": "turn:h"}),
    ("PRESENCE_METRICS_TOKEN", ["two words", "naïve"], {}),
    ("PRESENCE_LOG_FORMAT", ["xml"], {}),
    ("PRESENCE_LOG_LEVEL", ["loud", "5"], {}),
    ("PRESENCE_WEBHOOK_URLS", ["h", "ftp://h/x", "https://", "https://h/x y"], {}),
    ("PRESENCE_WEBHOOK_SECRETS", ["whsec_", "whsec_c2hvcnQ=", "no base64!" * 4], {}),
    ("PRESENCE_WEBHOOK_SECRETS", [""], {"PRESENCE_WEBHOOK_URLS": "https://h/x"}),
    ("PRESENCE_EVENTS", [",", "some", "peer_joined,peer_vanished"], {}),
    ("PRESENCE_EVENT_ROOMS", ["a\\b", "a" * 257], {}),
    *(
        (f"PRESENCE_KEEP_{of}", ["30", "0d", "d", "never", "1.5d"], {})
        for of in ("INACTIVE_PEERS", "EMPTY_ROOMS", "FILES", "ACTIVITY", "EVENTS")
    ),
]


def refusal(environment: dict[str, str]) -> str:
    """Return the sentence that settings are refused with."""
    with pytest.raises(InvalidSetting) as raised:
        Settings.from_environment(environment)
    return str(raised.value)


@pytest.mark.parametrize(
    "setting", fields(Settings), ids=lambda setting: setting.metadata["variable"]
)
def test_a_value_that_cannot_be_is_answered_with_a_sentence_that_names_its_setting(
    setting: Any,
) -> None:
    variable = setting.metadata["variable"]
    for text in WRONG[type(setting.default)]:
        says = refusal({variable: text})
        assert says.startswith(variable), (text, says)
        assert says.endswith("."), (text, says)
        assert "\n" not in says, (text, says)


@pytest.mark.parametrize(
    ("variable", "texts", "others"), MISSHAPEN, ids=lambda item: str(item)[:24]
)
def test_a_value_of_the_wrong_form_is_answered_so_too(
    variable: str, texts: list[str], others: dict[str, str]
) -> None:
    for text in texts:
        says = refusal({**others, variable: text})
        assert variable in says, (text, says)
        assert re.fullmatch(r"[^\n]+[.'-]", says), (text, says)


def test_every_text_setting_with_a_form_is_tried() -> None:
    free = {"UPLOAD_DIR"}
    texts = {str(item.metadata["variable"]) for item in fields(Settings) if item.type == "str"}
    assert texts - free == {variable for variable, _, _ in MISSHAPEN}


@pytest.mark.parametrize("quote", ["'", '"'])
def test_quotes_that_were_passed_on_with_a_value_are_named(quote: str) -> None:
    for setting in fields(Settings):
        variable = setting.metadata["variable"]
        says = refusal({variable: f" {quote}{setting.default or 'x'}{quote}\r"})
        assert says.startswith(f"{variable} must stand without quotes"), says


@pytest.fixture
def env_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where a file with settings is that the environment has nothing of."""
    monkeypatch.setattr(os, "environ", {})
    return tmp_path / ".env"


@pytest.mark.parametrize("ends", ["\n", "\r\n", "\r", " \n", "\t\r\n"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_a_file_of_settings_is_read_however_it_was_saved(
    env_file: Path, ends: str, encoding: str
) -> None:
    lines = ["PORT=3002", 'PRESENCE_MAX_PEERS="7"', "UPLOAD_DIR=übrig", ""]
    env_file.write_bytes(ends.join(lines).encode(encoding))
    read_env_file(env_file)
    settings = Settings.from_environment()
    assert (settings.port, settings.max_peers, settings.upload_dir) == (3002, 7, "übrig")


@pytest.mark.parametrize("encoding", ["utf-16", "latin-1"])
def test_a_file_of_settings_in_another_encoding_stops_the_start(
    env_file: Path, encoding: str
) -> None:
    env_file.write_text("PRESENCE_MODE=locked\nUPLOAD_DIR=übrig\n", encoding=encoding)
    with pytest.raises(InvalidSetting, match=f"{env_file} is not in UTF-8"):
        read_env_file(env_file)


def test_a_setting_whose_beginning_is_mistyped_is_seen_too() -> None:
    meant = {
        "presence_mode": "PRESENCE_MODE",
        "Presence_Max_Peers": "PRESENCE_MAX_PEERS",
        "PRESENSE_ALLOWED_HOSTS": "PRESENCE_ALLOWED_HOSTS",
        "PRESENCES_TOKEN_KEYS": "PRESENCE_TOKEN_KEYS",
    }
    others = dict.fromkeys(("PREVIEW_MODE", "PRE_MODE", "PRESENTER_HOME", "MODE", "PREFIX"), "x")
    assert unknown_settings({**dict.fromkeys(meant, "x"), **others}) == meant


def test_no_secret_stands_in_a_refusal() -> None:
    for text in (
        "postgresql://u:hid den@h/x",
        "postgresql://u:hid/den@h:5432/x",
        "mysql://u:hid@h",
    ):
        assert "hid" not in refusal({"DATABASE_URL": text})
    assert "hid" not in refusal({"REDIS_URL": "http://:hidden@h"})


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


def test_a_database_that_another_program_holds_is_told(tmp_path: Path) -> None:
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
    [*((way, "port") for way in WAYS), ("gunicorn", "folder"), ("flask run --debug", "folder")],
)
def test_every_way_to_start_ends_at_once_with_the_sentence_alone(
    way: str, what: str, taken: int, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    uploads = tmp_path / ("file/below" if what == "folder" else "uploads")
    settings = {
        **LiveServer.environment,
        "HOST": "127.0.0.1",
        "PORT": str(taken if what == "port" else free_port()),
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
    wanted = f"PORT={taken + 1}" if what == "port" else "UPLOAD_DIR="
    (told,) = [line for line in printed.splitlines() if wanted in line]
    assert len(told) < 400
    assert not [line for line in printed.splitlines() if line != told and "ERROR" in line]
