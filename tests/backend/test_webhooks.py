"""Webhooks: a real receiver that fails, hangs, dies and comes back is told everything, in order."""

from __future__ import annotations

import http.server
import json
import ssl
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import requests
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from local_cluster.live_server import LiveServer
from local_cluster.waiting import eventually
from tests.backend.receivers import OLD_SECRET, SECRET, NewReceiver, Receiver
from tests.support import commands
from tests.support.raw_socket import RawSocket
from tests.support.rest import Rest

NewServer = Callable[..., LiveServer]


def update(rest: Rest, room: str, peer_id: str, **data: Any) -> int:
    """Change a peer's data, and return the version that its room has by it."""
    answer = rest.post(f"/rooms/{room}/update-data?peer_id={peer_id}", {"user_data": data})
    assert answer.ok, answer.text
    return int(answer.json()["version"])


def has(receiver: Receiver, room: str, count: int) -> bool:
    """Tell whether so many events of a room have come."""
    return len(receiver.first(room)) >= count


def arrived(receiver: Receiver, room: str, kind: str, seconds: float = 20) -> dict[str, Any]:
    """Return the first event of a kind that a room has, as soon as it has come."""
    return eventually(
        lambda: [event for event in receiver.first(room) if event["type"] == kind],
        f"{kind} of {room} arrives",
        seconds,
    )[0]


@pytest.mark.parametrize("mode", ["eventlet", "threading"])
def test_everything_that_happens_in_a_room_arrives(
    new_server: NewServer, receiver: Receiver, mode: str
) -> None:
    server = new_server(mode, **receiver.settings, PRESENCE_EVENTS="all")
    rest = Rest(server)
    rest.join("r", "ada", hand="up")
    rest.join("r", "bob")
    update(rest, "r", "ada", hand="down")
    upload = requests.post(
        f"{rest.base}/upload",
        files={"file": ("a.txt", b"words")},
        data={"room_name": "r", "peer_id": "ada"},
        timeout=10,
    ).json()
    rest.delete(f"/rooms/r/files/{upload['filename']}")
    socket = RawSocket(server)
    rest.post("/rooms/r/leave?peer_id=bob")
    for event in (
        ["join_room", {"room_name": "r", "peer_id": "cy", "username": "Cy"}],
        ["signal", {"to": "bob", "type": "offer", "data": 1}],
        ["signal", {"to": "bob", "type": "candidate", "data": 2}],
        ["broadcast", {"event": "wave", "data": {"n": 1}}],
        ["leave_room"],
    ):
        socket.send("427" + json.dumps(event))
        while not socket.receive().startswith("437"):
            pass
    # What was not told yet of a peer that is erased is told without what it said.
    eventually(partial(has, receiver, "r", 11), "all so far arrives", 20)
    rest.delete("/rooms/r/peers/ada")
    rest.delete("/rooms/r")
    arrived(receiver, "r", "room_removed")
    told = receiver.first("r")
    assert [(one["type"], one.get("peer_id")) for one in told] == [
        ("room_made", None),
        ("peer_joined", "ada"),
        ("peer_joined", "bob"),
        ("peer_updated", "ada"),
        ("file_uploaded", "ada"),
        ("file_deleted", "ada"),
        ("peer_left", "bob"),
        ("peer_joined", "cy"),
        ("peer_wanted", "bob"),
        ("broadcast_sent", "cy"),
        ("peer_left", "cy"),
        ("peer_left", "ada"),
        ("room_emptied", None),
        ("peer_left", "bob"),
        ("peer_left", "cy"),
        ("room_removed", None),
    ]
    by_type = {one["type"]: one for one in told}
    assert by_type["file_uploaded"]["original_filename"] == "a.txt"
    assert by_type["file_uploaded"]["file_size"] == 5
    assert by_type["file_uploaded"]["file_path"] == upload["file_path"]
    assert by_type["peer_wanted"]["from"] == "cy"
    assert by_type["peer_wanted"]["signal_type"] == "offer"
    assert by_type["broadcast_sent"]["data"] == {"n": 1}
    assert [one["reason"] for one in told if one["type"] == "peer_left"] == [
        *("left", "left", "erased", "erased", "erased")
    ]
    versions = [one["version"] for one in told]
    assert versions == sorted(versions)
    assert all(one["id"] and one["at"].endswith("Z") for one in told)


def test_one_room_that_fails_holds_up_no_other(new_server: NewServer, receiver: Receiver) -> None:
    receiver.behave(bad="500", slow="hang")
    rest = Rest(new_server(**receiver.settings))
    for room in ("bad", "slow"):
        rest.join(room, "ada")
    began = time.monotonic()
    for number in range(5):
        for room in ("good", "fine"):
            rest.join(room, f"p{number}")
        rest.join("bad", f"p{number}")
        for room in ("good", "fine"):
            eventually(partial(has, receiver, room, number + 2), "it arrives", 10)
    assert time.monotonic() - began < 25
    assert receiver.all("bad") == receiver.all("slow") == []
    receiver.behave()
    eventually(lambda: len(receiver.first("bad")) == 7, "all of the bad room arrives", 40)
    eventually(lambda: len(receiver.first("slow")) == 2, "all of the slow room arrives", 60)
    for room in ("bad", "slow", "good"):
        versions = [one["version"] for one in receiver.first(room)]
        assert versions == sorted(versions)


def test_one_room_over_which_a_backend_stumbles_holds_up_no_other(
    new_server: NewServer, receiver: Receiver
) -> None:
    receiver.behave(bad="stumble")
    server = new_server(**receiver.settings)
    rest = Rest(server)
    rest.join("bad", "ada")
    eventually(lambda: "it broke off" in flask(server, "status"), "what fails is shown")
    for number in range(3):
        rest.join("bad", f"p{number}")
        rest.join("good", f"p{number}")
        eventually(partial(has, receiver, "good", number + 2), "it arrives", 10)
    assert receiver.all("bad") == []
    receiver.behave()
    eventually(lambda: len(receiver.first("bad")) == 5, "all of the bad room arrives", 60)


def test_one_webhook_that_is_away_holds_up_no_other_and_gets_all_when_it_is_back(
    new_server: NewServer, new_receiver: NewReceiver
) -> None:
    here, away = new_receiver(), new_receiver()
    server = new_server(
        **here.settings | {"PRESENCE_WEBHOOK_URLS": f"{here.url},{away.url}"},
        PRESENCE_METRICS_TOKEN="t",
    )
    rest = Rest(server)
    away.kill()
    for number in range(150):
        rest.join(f"r{number % 7}", f"p{number}")
    eventually(lambda: len(here.first()) == 157, "all arrive where somebody is", 20)
    status = flask(server, "status")
    assert f"127.0.0.1:{here.port}/hook: nothing waits" in status
    assert "157 events wait in 7 rooms" in status
    metrics = requests.get(
        f"{server.url}/metrics", headers={"Authorization": "Bearer t"}, timeout=10
    ).text
    assert "presence_webhook_waiting 157.0" in metrics
    away.start()
    flask(server, "retry")
    eventually(lambda: len(away.first()) == 157, "all arrive where nobody was", 30)
    messages = {one["message"] for one in away.all()}
    assert len(messages) < 30, "many go in one request"
    for number in range(7):
        versions = [one["version"] for one in away.first(f"r{number}")]
        assert versions == sorted(versions)


def test_no_redirect_is_followed_and_no_long_answer_read(
    new_server: NewServer, receiver: Receiver
) -> None:
    receiver.behave(elsewhere="redirect", talkative="long")
    server = new_server(**receiver.settings)
    rest = Rest(server)
    rest.join("elsewhere", "ada")
    rest.join("talkative", "ada")
    rest.join("good", "ada")
    arrived(receiver, "good", "peer_joined")
    eventually(lambda: "it answered 307" in flask(server, "status"), "the refusal is shown")
    assert not receiver.was_followed
    assert receiver.all("elsewhere") == []


def test_secrets_are_rotated_without_a_gap(
    new_server: NewServer, new_receiver: NewReceiver
) -> None:
    """First the server signs with both, then the receiver takes the new one."""
    old = new_receiver(secret=OLD_SECRET)
    server = new_server(
        **old.settings | {"PRESENCE_WEBHOOK_SECRETS": f"{SECRET},{OLD_SECRET}"},
    )
    Rest(server).join("r", "ada")
    arrived(old, "r", "peer_joined")
    old.kill()
    new = Receiver(old._folder, SECRET, old.port)
    new.start()
    try:
        Rest(server).join("r", "bob")
        eventually(lambda: len(new.first("r")) == 3, "both believe the signature", 20)
    finally:
        new.kill()


def test_a_certificate_that_nobody_vouches_for_is_refused(
    new_server: NewServer, tmp_path: Path
) -> None:
    certificate = self_signed(tmp_path)
    taken: list[bytes] = []

    class Takes(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            taken.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_arguments: Any) -> None:
            pass

    receiver = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Takes)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    receiver.socket = context.wrap_socket(receiver.socket, server_side=True)
    threading.Thread(target=receiver.serve_forever, daemon=True).start()
    settings = {
        "PRESENCE_WEBHOOK_URLS": f"https://localhost:{receiver.server_port}/",
        "PRESENCE_WEBHOOK_SECRETS": SECRET,
    }
    try:
        server = new_server(**settings)
        Rest(server).join("r", "ada")
        eventually(lambda: "SSLError" in flask(server, "status"), "the refusal is shown")
        assert taken == []
        server.stop()
        server.set(SSL_CERT_FILE=str(certificate))
        server.start()
        eventually(lambda: taken, "what is vouched for is told", 20)
    finally:
        receiver.shutdown()


def self_signed(folder: Path) -> Path:
    """Make a key and its certificate for localhost, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.oid.NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    file = folder / "certificate.pem"
    file.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + made.public_bytes(serialization.Encoding.PEM)
    )
    return file


def test_the_command_tries_webhooks(new_server: NewServer, receiver: Receiver) -> None:
    server = new_server(**receiver.settings)
    assert flask(server, "test").rstrip().endswith("/hook: took it")
    receiver.behave(everywhere="503")
    assert "it answered 503" in flask(server, "test", fails=True)
    receiver.kill()
    assert "it cannot be reached" in flask(server, "test", fails=True)


def flask(server: LiveServer, command: str, *, fails: bool = False) -> str:
    """Run ``flask webhooks`` with the settings of a server, and return what it prints."""
    done = commands.flask("webhooks", command, **server.settings)
    assert (done.returncode != 0) == fails, done.stdout + done.stderr
    return done.stdout
