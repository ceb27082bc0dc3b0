"""The Python client: blocking calls that raise, callbacks in order, nothing of the server."""

from __future__ import annotations

import io
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from local_cluster.live_server import LiveServer
from local_cluster.waiting import eventually
from presence.client import PresenceClient, PresenceError
from tests.signalling.conftest import ON_EVENTLET, Member, NewClient
from tests.support.paths import ROOT


def test_it_imports_nothing_of_the_server() -> None:
    script = (
        "import sys; import presence.client;"
        "ours = {m for m in sys.modules if m.startswith('presence.')};"
        "assert ours == {'presence.client', 'presence.client_wire'}, ours;"
        "theirs = {'flask', 'flask_socketio', 'sqlalchemy', 'eventlet', 'orjson', 'pydantic'};"
        "assert not theirs & set(sys.modules), theirs & set(sys.modules)"
    )
    run = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr


@ON_EVENTLET
def test_its_two_files_work_on_their_own(tmp_path: Path, server: LiveServer, room: str) -> None:
    (tmp_path / "presence").mkdir()
    for name in ("client.py", "client_wire.py"):
        (tmp_path / "presence" / name).write_text((ROOT / "presence" / name).read_text())
    script = (
        "import sys; from presence.client import PresenceClient\n"
        "with PresenceClient(sys.argv[1], peer_id='copy') as client:\n"
        "    print(client.join(sys.argv[2])['active_peers'])"
    )
    run = subprocess.run(
        [sys.executable, "-c", script, server.url, room],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert run.stdout.strip() == "1", run.stderr


def test_joining_updating_and_leaving(
    server: LiveServer, presence_client: NewClient, member: Member, room: str
) -> None:
    client: PresenceClient = presence_client(server, "robot")
    states: list[str] = []
    client.on("state", states.append)
    with client:
        joined = client.join(room, user_data={"a": 1})
        assert (joined["ok"], client.room_name, client.state) == (True, room, "joined")
        assert client.update({"b": 2}, remove=["a"])["user_data"] == {"b": 2}
        member(server, "alice")
        client.wait_for(lambda c: len(c.active_peers) == 2)
        assert [peer["peer_id"] for peer in client.peers] == ["robot", "alice"]
        assert client.leave()["reason"] == "left"
        assert (client.room_name, client.peers, client.version) == (None, [], 0)
    eventually(lambda: states == ["connected", "joined", "connected", "closed"], f"{states}")


@ON_EVENTLET
@pytest.mark.parametrize(
    ("ask", "code"),
    [
        (lambda client: client.signal("nobody", 1), "unknown_peer"),
        (lambda client: client.signal("robot", "x" * 70_000), "too_large"),
        (lambda client: client.signal("robot", float("nan")), "invalid_field"),
        (lambda client: client.update({"a": "\ud800"}), "invalid_field"),
        (lambda client: client.join(""), "invalid_field"),
        (lambda client: client.upload(io.BytesIO(b"MZ"), name="x.exe"), "file_type_refused"),
    ],
)
def test_a_refusal_is_raised_with_its_code_and_sentence(
    server: LiveServer, presence_client: NewClient, room: str, ask: Any, code: str
) -> None:
    client: PresenceClient = presence_client(server, "robot")
    client.join(room)
    with pytest.raises(PresenceError) as raised:
        ask(client)
    assert raised.value.code == code
    assert str(raised.value) == raised.value.detail == raised.value.body["detail"]


def test_what_cannot_reach_a_server_says_so() -> None:
    with pytest.raises(PresenceError) as raised:
        PresenceClient("http://127.0.0.1:9", timeout=0.2).connect()
    assert raised.value.code == "unreachable"
    with pytest.raises(PresenceError) as raised:
        PresenceClient("127.0.0.1:9")
    assert raised.value.code == "invalid_address"
    with pytest.raises(PresenceError) as raised:
        PresenceClient("http://127.0.0.1:9").update({})
    assert raised.value.code == "not_connected"


def test_without_a_room_it_raises_not_joined(
    server: LiveServer, presence_client: NewClient
) -> None:
    with presence_client(server, "robot") as client, pytest.raises(PresenceError) as raised:
        client.signal("alice", 1)
    assert raised.value.code == "not_joined"


def test_signals_that_come_in_a_burst_keep_their_order(
    server: LiveServer, presence_client: NewClient, member: Member, room: str
) -> None:
    robot, alice = presence_client(server, "robot"), member(server, "alice")
    heard: list[int] = []
    robot.on("signal", lambda signal: heard.append(signal["data"]))
    robot.join(room)
    for number in range(1000):
        alice.emit("signal", {"to": "robot", "data": number})
    eventually(lambda: len(heard) == 1000, "every signal comes")
    assert heard == list(range(1000))


def test_callbacks_come_in_order_and_may_call_the_client(
    server: LiveServer, presence_client: NewClient, room: str
) -> None:
    alice, bob = presence_client(server, "alice"), presence_client(server, "bob")
    alice.join(room)
    bob.join(room)
    heard: list[int] = []
    bob.on("signal", lambda signal: bob.signal("alice", signal["data"]))
    alice.on("signal", lambda signal: heard.append(signal["data"]))
    for number in range(200):
        alice.signal("bob", number)
    eventually(lambda: len(heard) == 200, "every echo comes")
    assert heard == list(range(200))


@ON_EVENTLET
def test_a_callback_that_fails_does_not_stop_the_others(
    server: LiveServer, presence_client: NewClient, member: Member, room: str
) -> None:
    client: PresenceClient = presence_client(server, "robot")
    heard: list[Any] = []
    client.on("broadcast", lambda body: 1 / 0)
    client.on("broadcast", heard.append)
    client.join(room)
    member(server, "alice").call("broadcast", {"event": "x", "data": 1})
    eventually(lambda: heard, "the second callback is called")


@ON_EVENTLET
def test_uploading_reports_progress_and_can_be_aborted(
    server: LiveServer, presence_client: NewClient, room: str, tmp_path: Path
) -> None:
    client: PresenceClient = presence_client(server, "robot")
    client.join(room)
    path = tmp_path / "words.txt"
    path.write_text("some words " * 50_000)
    progress: list[tuple[int, int]] = []
    file = client.upload(path, on_progress=lambda sent, total: progress.append((sent, total)))
    assert (file["original_filename"], file["file_size"]) == ("words.txt", 550_000)
    assert progress == sorted(progress)
    assert progress[-1][0] == progress[-1][1] > 550_000
    abort = threading.Event()
    with pytest.raises(PresenceError) as raised:
        client.upload(path, on_progress=lambda *_: abort.set(), abort=abort)
    assert raised.value.code == "aborted"


def test_closing_makes_the_peer_inactive_at_once_and_nothing_waits_for_it(
    server: LiveServer, presence_client: NewClient, member: Member, room: str
) -> None:
    alice = member(server, "alice")
    with presence_client(server, "robot") as client:
        client.join(room)
        assert alice.call("signal", {"to": "robot", "data": 1})["ok"]
    assert alice.call("signal", {"to": "robot", "data": 1})["code"] == "inactive"
