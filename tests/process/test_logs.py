"""A record is one line, whatever a name contains, and no secret is in it."""

from __future__ import annotations

import contextlib
import json
import logging
import re
import socket
import sqlite3
import sys
import time
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import requests
import socketio

from local_cluster.live_server import LiveServer
from local_cluster.waiting import eventually
from presence import logs
from presence.config import Settings
from tests.support.clients import PythonClient

FORGED = "2026-01-01T00:00:00.000Z ERROR presence: forged"
HOSTILE = [
    f"a\r\n{FORGED}\r\n",
    f"a\n{FORGED}",
    f"a\u2028{FORGED}\u2029{FORGED}\x85{FORGED}",
    "\x1b[31mred\x1b[0m\x1b]0;title\x07",
    "%s%n%d{}{0}%(message)s",
    "x" * 5000,
    "\u202egnirts\x00\ud800",
]
LINE = re.compile(
    r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z (DEBUG|INFO|WARNING|ERROR|CRITICAL) [\w.-]+: .+"
)
SECRETS = {
    "SECRET_KEY": "the-key-of-the-server-0123456789abcdef",
    "PRESENCE_TURN_SECRET": "the-turn-servers-secret",
    "PRESENCE_METRICS_TOKEN": "the-token-of-the-figures",
}


def record(message: str, *args: Any, error: BaseException | None = None) -> logging.LogRecord:
    info = (type(error), error, error.__traceback__) if error else None
    return logging.LogRecord("presence.x", logging.ERROR, "f.py", 1, message, args, info)


def raised(message: str) -> Exception:
    try:
        raise RuntimeError(message)
    except RuntimeError as error:
        return error


@pytest.mark.parametrize("name", HOSTILE, ids=range(len(HOSTILE)))
@pytest.mark.parametrize("log_format", ["text", "json"])
def test_a_record_is_one_line_whatever_a_name_contains(name: str, log_format: str) -> None:
    formatter = logs.Formatter(Settings(log_format=log_format))
    for made in (
        record("room %s could not be announced", name),
        record(name),
        record("failed", error=raised(name)),
        record("%d %d", name),
    ):
        line = formatter.format(made)
        # As any reader may split them, Unicode's line ends included.
        assert len(line.splitlines()) == 1
        assert "\x1b" not in line
        line.encode()
        if log_format == "json":
            assert json.loads(line)["logger"] == "presence.x"
        else:
            assert LINE.fullmatch(line)
    assert "raise RuntimeError" in formatter.format(record("failed", error=raised(name)))


@pytest.mark.parametrize("log_format", ["text", "json"])
@pytest.mark.parametrize(
    "leak",
    [
        "Authorization: Bearer {secret}",
        "authorization='Basic {secret}=='",
        "GET /uploads/a.png?expires=1&signature={secret} failed",
        "connect with {{'token': '{secret}'}}",
        'auth is {{"token": "{secret}", "a": 1}}',
        "{{'pid': '{secret}', 'offset': 1}}",
        "cannot reach postgresql://presence:{secret}@db.example/presence",
        "token eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhZGEifQ.{secret} refused",
        "/socket.io/?EIO=4&token={secret}",
        "Cookie=session{secret}",
    ],
)
def test_secrets_are_known_by_their_form(leak: str, log_format: str) -> None:
    secret = "Zm9vYmFyLWJhei0xMjM0NTY3ODkw"
    text = leak.format(secret=secret)
    formatter = logs.Formatter(Settings(log_format=log_format))
    for made in (record("%s", text), record(text), record("failed", error=raised(text))):
        line = formatter.format(made)
        assert secret not in line
        assert "[secret]" in line


def test_the_servers_own_secrets_are_known_by_their_value() -> None:
    settings = Settings(
        secret_key="s" * 40, metrics_token="open-sesame", token_keys="a:first-key,b:second-key"
    )
    formatter = logs.Formatter(settings)
    for secret in ("s" * 40, "open-sesame", "first-key", "second-key"):
        assert secret not in formatter.format(record(f"it is {secret}, is it not?"))


def test_what_is_printed_becomes_records(capsys: pytest.CaptureFixture[str]) -> None:
    logger = logging.getLogger("test.printed")
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(logs.Formatter(Settings()))
    logger.addHandler(handler)
    stream = logs.Printed(logger, logging.WARNING, sys.stderr)
    print("one", file=stream)
    stream.write("no line's end")
    stream.write("two\nlines\n")
    logger.removeHandler(handler)
    messages = [line.split(": ", 1)[1] for line in capsys.readouterr().out.splitlines()]
    assert messages == ["one", "no line's end", "two", "lines"]


@pytest.fixture(scope="module", params=["text", "json"])
def talkative(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Generator[LiveServer]:
    """A server that says all it has to say."""
    live = LiveServer(
        tmp_path_factory.mktemp("talkative"),
        PRESENCE_LOG_FORMAT=request.param,
        PRESENCE_LOG_LEVEL="DEBUG",
        PRESENCE_TURN_URLS="turn:turn.example.org:3478",
    )
    live.set(**SECRETS)
    live.start()
    yield live
    live.kill()


def test_every_line_of_a_log_is_a_record(talkative: LiveServer) -> None:
    shown = provoke(talkative)
    eventually(lambda: "storage failed" in talkative.log_text(), "the fault is logged")
    assert talkative.stop() == 0
    text = talkative.log_text()
    lines = text.split("\n")
    assert lines.pop() == ""
    assert len(lines) > 5
    for line in lines:
        if talkative.settings["PRESENCE_LOG_FORMAT"] == "json":
            assert {"time", "level", "logger", "message", "process"} <= set(json.loads(line)), line
        else:
            assert LINE.fullmatch(line), line
        assert not line.startswith(FORGED)
    assert "\x1b" not in text
    assert len(text.splitlines()) == len(lines)
    assert "Traceback" in text  # the fault below was logged with all there is to know
    for secret in [*SECRETS.values(), *shown]:
        assert secret not in text, secret


def provoke(server: LiveServer) -> list[str]:
    """Give a server every reason to log something hostile; return the secrets it was shown."""
    shown = ["a-token-of-somebody-else", "a-pid-that-was-never-given", "marked-user-data"]
    bearer = {"Authorization": f"Bearer {shown[0]}"}
    for name in HOSTILE:
        path = quote(name.encode(errors="surrogatepass"), safe="")
        for method, address in [
            ("GET", f"/api/webrtc/rooms/{path}"),
            ("POST", f"/api/webrtc/rooms/{path}/join"),
            ("GET", f"/rooms/{path}?token={shown[0]}"),
            ("GET", f"/{path}"),
            ("GET", f"/uploads/{path}?signature={shown[0]}&expires=1"),
            ("DELETE", f"/api/webrtc/rooms/r/peers/{path}"),
            ("GET", f"/metrics?{path}"),
            ("GET", f"/socket.io/?EIO=4&transport={path}&sid={path}"),
        ]:
            with contextlib.suppress(requests.RequestException):
                requests.request(method, server.url + address, headers=bearer, timeout=10)
        raw(server, f"GET /{name} HTTP/1.1\r\nHost: {name}\r\nX: {name}\r\n\r\n")
        raw(server, f"{name}\r\n\r\n")
    client = socketio.Client(reconnection=False)
    client.connect(server.url, auth={"token": shown[0], "pid": shown[1]})
    for name in HOSTILE[:-1]:
        for event in ("join_room", "signal", "broadcast", "watch", f"e{name}"[:60]):
            client.call(event, {"room_name": name, "peer_id": name, "to": name, "data": name})
    client.eio.send("2" + HOSTILE[0])
    client.disconnect()
    # A fault that is logged with what was being done at the time.
    ada = PythonClient(server.url)
    join = {"room_name": "r", "peer_id": "ada", "username": "A", "user_data": {"x": shown[2]}}
    assert ada.call("join_room", join)["ok"]
    with contextlib.suppress(OSError):
        server.uploads.rename(server.uploads.with_name("elsewhere"))
        server.uploads.write_text("no folder")
    for name in HOSTILE:
        requests.post(
            f"{server.url}/api/webrtc/upload",
            data={"room_name": "r", "peer_id": "ada"},
            files={"file": (name.encode(errors="replace").decode(), b"hi")},
            headers=bearer,
            timeout=10,
        )
    ada.disconnect()
    return shown


def raw(server: LiveServer, text: str) -> None:
    """Send bytes that no client would, and read what comes back."""
    with socket.create_connection(("127.0.0.1", server.port), 5) as connection:
        connection.settimeout(2)
        with contextlib.suppress(OSError):
            connection.sendall(text.encode(errors="surrogatepass"))
            connection.shutdown(socket.SHUT_WR)
            while connection.recv(65_536):
                pass


def test_faults_of_the_database_are_logged_without_anybodys_data(
    new_server: Callable[..., LiveServer], tmp_path: Path
) -> None:
    server = new_server()
    with sqlite3.connect(server.database) as other:
        other.execute(
            "CREATE TRIGGER no BEFORE INSERT ON peers BEGIN SELECT RAISE(FAIL, 'no'); END"
        )
    other.close()
    join = {"peer_id": "ada", "username": "A", "user_data": {"x": "marked-user-data"}}
    answer = requests.post(f"{server.url}/api/webrtc/rooms/r/join", json=join, timeout=10)
    assert answer.status_code == 503
    eventually(lambda: "storage failed" in server.log_text(), "the fault is logged")
    text = server.log_text()
    assert "INSERT INTO peers" in text
    assert "marked-user-data" not in text


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_what_a_client_is_told_of_a_fault_leads_to_its_line(
    new_server: Callable[..., LiveServer], connect: Callable[..., Any], log_format: str
) -> None:
    """Over REST, a form and a socket, by the `ref` of the answer; requests have one each."""
    server = new_server(PRESENCE_LOG_FORMAT=log_format)
    ada = connect(server, "python")
    assert ada.call("join_room", {"room_name": "r", "peer_id": "ada", "username": "A"})["ok"]
    with sqlite3.connect(server.database) as other:
        for table, change in (("peers", "INSERT"), ("peers", "UPDATE"), ("files", "INSERT")):
            other.execute(
                f"CREATE TRIGGER no_{table}_{change} BEFORE {change} ON {table} "
                "BEGIN SELECT RAISE(FAIL, 'no'); END"
            )
    other.close()
    form = {"room_name": "r", "peer_id": "ada"}
    asked: dict[str, dict[str, Any]] = {
        "POST /api/webrtc/rooms/r/join": {"json": {"peer_id": "bo", "username": "B"}},
        "POST /api/webrtc/upload": {"data": form, "files": {"file": ("a.txt", b"a")}},
    }
    told: dict[str, dict[str, str]] = {}
    for request, body in asked.items():
        answer = requests.post(server.url + request.split()[1], timeout=10, **body).json()
        assert answer["code"] == "storage_unavailable", answer
        told[answer["ref"]] = {"request": request}
    answer = ada.call("update_user_data", {"user_data": {"a": 1}})
    assert answer["code"] == "storage_unavailable", answer
    told[answer["ref"]] = {"event": "update_user_data", "sid": ada.sid}
    assert len(told) == 3

    for ref, about in told.items():
        (line,) = [
            line
            for line in server.log_text().splitlines()
            if ref in line and "storage failed" in line
        ]
        if log_format == "json":
            logged = json.loads(line)
            assert {name: logged.get(name) for name in about} == about
            assert logged["ref"] == ref
            assert "Traceback" in logged["exception"]
        else:
            said = " ".join(f"{name}={text}" for name, text in about.items())
            assert f"[ref={ref} {said}]" in line


def test_of_a_long_message_the_beginning_is_shown_in_little_time() -> None:
    token = "eyJhbGciOiJIUzI1NiJ9." + "e" * 4000 + ".signature"
    formatter = logs.Formatter(Settings())
    for text in ("x" * 1_000_000, "-eyJaaaaa" * 100_000, "\x7f" * 1_000_000, " " * 1_990 + token):
        record = logging.LogRecord("x", logging.WARNING, "", 0, "%s", (text,), None)
        began = time.process_time()
        line = formatter.format(record)
        assert time.process_time() - began < 0.5
        assert len(line) < 10_000
        assert "e" * 100 not in line
