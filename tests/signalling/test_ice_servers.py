"""The ICE servers a peer is told of, and TURN credentials as a real coturn sees them."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import time
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest
import requests
from aioice import stun, turn

from local_cluster.live_server import LiveServer
from local_cluster.waiting import eventually
from presence.config import InvalidSetting, Settings
from presence.domain.permissions.ice import IceServers, turn_credentials
from tests.signalling.aiortc_peer import AiortcPeer, talk
from tests.signalling.conftest import InLoop, Member, NewClient, NewPage, NewServer
from tests.signalling.turn_server import SECRET, TurnServer

ROUTE = "/api/webrtc/ice-servers"
RELAY_ONLY = {"iceTransportPolicy": "relay"}


def ask(server: LiveServer, **query: str) -> requests.Response:
    return requests.get(server.url + ROUTE, query, timeout=10)


@pytest.fixture
def turn_server(tmp_path: Path) -> Generator[TurnServer]:
    """A coturn that shares its secret with the server."""
    turn = TurnServer(tmp_path).start()
    yield turn
    turn.kill()


def test_credentials_follow_the_turn_rest_convention() -> None:
    username, credential = turn_credentials("secret", "alice", 1_700_000_000)
    assert username == "1700000000:alice"
    digest = hmac.new(b"secret", b"1700000000:alice", hashlib.sha1).digest()
    assert credential == base64.b64encode(digest).decode()
    # By openssl: printf '1700000000:alice' | openssl dgst -sha1 -hmac secret -binary | base64
    assert credential == "d8soP47RbdIKLDUOpnJPVQyq5Ts="


def test_the_longest_peer_id_makes_a_user_name_that_stun_can_carry() -> None:
    username, _ = turn_credentials("secret", "🎈" * 128, 1_700_000_000)
    assert len(username.encode()) < 513
    assert username.startswith("1700000000:🎈")


def test_without_settings_there_are_no_servers() -> None:
    assert IceServers([], [], "", 60).configuration("alice", 0) == []


def test_stun_servers_need_no_credentials() -> None:
    servers = IceServers(["stun:a", "stun:b"], ["turn:c"], "secret", 60).configuration(
        "alice", 100.9
    )
    assert servers[0] == {"urls": ["stun:a", "stun:b"]}
    assert servers[1]["urls"] == ["turn:c"]
    assert servers[1]["username"] == "160:alice"


@pytest.mark.parametrize(
    "settings",
    [
        {"stun_urls": "http://example.org"},
        {"turn_urls": "stun:example.org", "turn_secret": "x"},
        {"turn_urls": "turn:example.org"},
        {"turn_urls": "turn:example.org", "turn_secret": "x", "turn_ttl": 0},
    ],
)
def test_settings_that_no_browser_could_use_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(InvalidSetting):
        Settings(**settings)


def test_the_route_answers_an_active_peer_with_what_a_peer_connection_takes(
    new_server: NewServer, member: Member, room: str
) -> None:
    live = new_server(
        PRESENCE_STUN_URLS="stun:stun.example.org:3478",
        PRESENCE_TURN_URLS="turn:t.example.org:3478, turns:t.example.org:5349?transport=tcp",
        PRESENCE_TURN_SECRET=SECRET,
        PRESENCE_TURN_TTL=600,
    )
    member(live, "Zoë:1")
    answer = ask(live, room_name=room, peer_id="Zoë:1")
    assert answer.status_code == 200
    assert answer.headers["Cache-Control"] == "no-store"
    assert SECRET not in answer.text
    stun_entry, turn_entry = answer.json()["iceServers"]
    assert stun_entry == {"urls": ["stun:stun.example.org:3478"]}
    assert turn_entry["urls"] == [
        "turn:t.example.org:3478",
        "turns:t.example.org:5349?transport=tcp",
    ]
    expiry, _, peer_id = turn_entry["username"].partition(":")
    assert peer_id == "Zoë:1"
    assert abs(int(expiry) - (time.time() + 600)) < 5
    expected = hmac.new(SECRET.encode(), turn_entry["username"].encode(), hashlib.sha1).digest()
    assert turn_entry["credential"] == base64.b64encode(expected).decode()
    assert answer.json()["ttl"] == 600


def test_the_route_answers_only_peers_that_are_there(
    server: LiveServer, member: Member, room: str
) -> None:
    assert ask(server, room_name=room, peer_id="alice").json()["code"] == "room_not_found"
    alice = member(server, "alice")
    assert ask(server, room_name=room, peer_id="bob").json()["code"] == "peer_not_found"
    answer = ask(server, room_name=room, peer_id="alice")
    assert answer.json() == {"iceServers": [], "ttl": None}
    alice.call("leave_room", {})
    answer = ask(server, room_name=room, peer_id="alice")
    assert (answer.status_code, answer.json()["code"]) == (409, "inactive")
    assert ask(server, room_name=room).status_code == 422
    assert ask(server, peer_id="alice").json()["field"] == "room_name"


def allocate(port: int, username: str, credential: str) -> Any:
    """Ask coturn for a relayed address; return it, or raise what it answers."""

    async def run() -> Any:
        transport, _ = await turn.create_turn_endpoint(
            asyncio.DatagramProtocol, ("127.0.0.1", port), username=username, password=credential
        )
        address = transport.get_extra_info("sockname")
        transport.close()
        return address

    return run()


def test_coturn_accepts_credentials_and_refuses_expired_and_forged_ones(
    turn_server: TurnServer, in_loop: InLoop
) -> None:
    username, credential = turn_credentials(SECRET, "alice", int(time.time()) + 60)
    assert in_loop(allocate(turn_server.port, username, credential))[0] == "127.0.0.1"

    # Another peer's id, a name that SASLprep would change, and one with colons.
    for peer_id in ("bob", "Ⅸ\u00adx", "a:b:c"):
        username, credential = turn_credentials(SECRET, peer_id, int(time.time()) + 60)
        assert in_loop(allocate(turn_server.port, username, credential))

    expired = turn_credentials(SECRET, "alice", int(time.time()) - 1)
    forged = (username, turn_credentials("another secret", "alice", int(time.time()) + 60)[1])
    prolonged = (f"{int(time.time()) + 9999}:alice", expired[1])
    for username, credential in (expired, forged, prolonged):
        with pytest.raises(stun.TransactionFailed) as refused:
            in_loop(allocate(turn_server.port, username, credential))
        assert refused.value.response.attributes["ERROR-CODE"][0] == 401


def test_two_pages_talk_through_the_relay_when_they_are_forced_to(
    new_server: NewServer, turn_server: TurnServer, client_page: NewPage, room: str
) -> None:
    live = new_server(**turn_server.settings)
    alice, bob = (client_page(live, configuration=RELAY_ONLY) for _ in range(2))
    alice.join(room, "alice")
    bob.join(room, "bob", answers=True)
    alice.call("bob")
    talk(alice, "alice", bob, "bob")
    for page, other in ((alice, "bob"), (bob, "alice")):
        stats = page.run("(id) => connections[id].stats()", other)
        assert (stats["path"], stats["localCandidate"]) == ("relayed", "relay")
        assert stats["protocol"] == "udp"


def test_a_page_talks_to_an_aiortc_peer_through_the_relay(  # noqa: PLR0917
    new_server: NewServer,
    turn_server: TurnServer,
    client_page: NewPage,
    presence_client: NewClient,
    in_loop: InLoop,
    room: str,
) -> None:
    live = new_server(**turn_server.settings)
    page, client = client_page(live, configuration=RELAY_ONLY), presence_client(live, "robot")
    page.join(room, "alice")
    client.join(room)
    robot = AiortcPeer(client, in_loop)
    page.call("robot")
    talk(page, "alice", robot, "robot")
    assert page.run("connections.robot.stats()")["path"] == "relayed"
    robot.close()


def test_a_page_whose_relay_refuses_it_is_told_so(
    new_server: NewServer, turn_server: TurnServer, client_page: NewPage, room: str
) -> None:
    live = new_server(
        **{**turn_server.settings, "PRESENCE_TURN_SECRET": "not the secret of coturn"}
    )
    alice, bob = (client_page(live, patience=2000, configuration=RELAY_ONLY) for _ in range(2))
    alice.join(room, "alice")
    bob.join(room, "bob", answers=True)
    alice.call("bob")
    state = "connections.bob.state"
    eventually(lambda: alice.run(state) == "failed", "the call fails", 60, interval=0.2)
    reason = alice.run("connections.bob.reason")
    assert turn_server.url in reason
    assert "refused its credentials" in reason


def test_credentials_are_replaced_before_they_end_and_the_call_moves_to_the_new_ones(
    new_server: NewServer, turn_server: TurnServer, client_page: NewPage, room: str
) -> None:
    live = new_server(**turn_server.settings, PRESENCE_TURN_TTL=8)
    alice, bob = (client_page(live, configuration=RELAY_ONLY) for _ in range(2))
    alice.join(room, "alice")
    bob.join(room, "bob", answers=True)
    alice.call("bob")
    talk(alice, "alice", bob, "bob")
    username = "connections.bob.pc.getConfiguration().iceServers[0].username"
    ufrag = "/a=ice-ufrag:(.*)/.exec(connections.bob.pc.currentLocalDescription.sdp)[1]"
    first, first_ufrag = alice.run(username), alice.run(ufrag)
    eventually(lambda: alice.run(username) != first, "new credentials", 12)
    assert time.time() < int(first.split(":")[0])
    eventually(lambda: alice.run(ufrag) != first_ufrag, "the path uses them")
    alice.tell("bob", "still here")
    bob.hears("alice", "still here")
    assert alice.run("[connections.bob.state, problems]") == ["connected", []]


def test_ice_is_restarted_when_the_path_dies(
    new_server: NewServer, turn_server: TurnServer, client_page: NewPage, room: str
) -> None:
    live = new_server(**turn_server.settings)
    alice, bob = (client_page(live, configuration=RELAY_ONLY) for _ in range(2))
    alice.join(room, "alice")
    bob.join(room, "bob", answers=True)
    alice.call("bob")
    talk(alice, "alice", bob, "bob")
    before = alice.run("connections.bob.id")
    turn_server.kill()
    state = "connections.bob.state"
    eventually(lambda: alice.run(state) == "recovering", "alice notices", 20, interval=0.1)
    turn_server.start()
    alice.connected_to("bob", 40)
    alice.tell("bob", "back again")
    bob.hears("alice", "back again", 40)
    # Whether the old connection or one built anew: nobody had to do anything.
    assert alice.run("call.connections.length") == 1
    assert before
