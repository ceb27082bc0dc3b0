"""Calls between real peers: Chromium with the JavaScript client, aiortc with the Python one."""

from __future__ import annotations

import asyncio
import os

from local_cluster.live_server import LiveServer
from local_cluster.waiting import eventually
from tests.signalling.aiortc_peer import AiortcPeer, talk
from tests.signalling.conftest import ON_EVENTLET, InLoop, NewClient, NewPage

# How many pairs offer at the same instant.
CAMPAIGN = int(os.environ.get("PRESENCE_TEST_COLLISIONS", "20"))


def test_two_pages_call_each_other(server: LiveServer, client_page: NewPage, room: str) -> None:
    alice, bob = client_page(server), client_page(server)
    alice.join(room, "alice")
    bob.join(room, "bob", answers=True)
    alice.call("bob")
    talk(alice, "alice", bob, "bob")
    stats = alice.run("connections.bob.stats()")
    assert stats["path"] == "direct"
    assert stats["roundTripTime"] >= 0
    assert stats["bytesSent"] > 0


def test_a_page_calls_an_aiortc_peer(
    server: LiveServer, client_page: NewPage, presence_client: NewClient, in_loop: InLoop, room: str
) -> None:
    page, client = client_page(server), presence_client(server, "robot")
    client.join(room)
    robot = AiortcPeer(client, in_loop)
    page.join(room, "alice", answers=True)
    page.call("robot")
    talk(page, "alice", robot, "robot")
    robot.close()
    eventually(lambda: page.run("connections.robot.state") == "closed", "the page sees it hang up")
    assert page.run("connections.robot.reason") == "“robot” hung up."


def test_an_aiortc_peer_calls_a_page(
    server: LiveServer, client_page: NewPage, presence_client: NewClient, in_loop: InLoop, room: str
) -> None:
    page, client = client_page(server), presence_client(server, "robot")
    page.join(room, "alice", answers=True)
    client.join(room)
    robot = AiortcPeer(client, in_loop)
    robot.call("alice")
    talk(page, "alice", robot, "robot")
    robot.close()


@ON_EVENTLET
def test_two_aiortc_peers_call_each_other(
    server: LiveServer, presence_client: NewClient, in_loop: InLoop, room: str
) -> None:
    clients = [presence_client(server, name) for name in ("alice", "bob")]
    for client in clients:
        client.join(room)
    alice, bob = (AiortcPeer(client, in_loop) for client in clients)
    alice.call("bob")
    talk(alice, "alice", bob, "bob")
    alice.close()
    bob.close()


@ON_EVENTLET
def test_both_pages_offer_at_the_same_instant_again_and_again_and_always_connect(
    server: LiveServer, client_page: NewPage, room: str
) -> None:
    alice, bob = client_page(server), client_page(server)
    # Ids that would compare differently by UTF-16 code units than by code points.
    names = ("\uffee", "\U0001f388")
    alice.join(room, names[0])
    bob.join(room, names[1])
    connected = 0
    for number in range(CAMPAIGN):
        # One call for both: they begin within a millisecond of each other.
        start = (
            "(at) => { setTimeout(() => { window.call = client.call(everyone) }, at - Date.now()) }"
        )
        at = alice.run("Date.now() + 30")
        alice.run(start, at)
        bob.run(start, at)
        alice.connected_to(names[1])
        bob.connected_to(names[0])
        alice.tell(names[1], f"message {number}")
        bob.hears(names[0], f"message {number}")
        connected += 1
        for page, other in ((alice, names[1]), (bob, names[0])):
            page.run("(id) => { call.close(); delete connections[id] }", other)
        for page in (alice, bob):
            eventually(
                lambda page=page: page.run("call.connections.length") == 0,  # type: ignore[misc]
                "both have hung up",
            )
    assert connected == CAMPAIGN
    if CAMPAIGN >= 20:
        # Or else this test did not do what its name says.
        assert alice.run("collisions") + bob.run("collisions") > CAMPAIGN / 4


@ON_EVENTLET
def test_a_page_and_an_aiortc_peer_offer_at_the_same_instant(
    server: LiveServer, client_page: NewPage, presence_client: NewClient, in_loop: InLoop, room: str
) -> None:
    page = client_page(server)
    page.join(room, "m", answers=True)
    # The aiortc peer is the polite one once, and the impolite one once.
    for name in ("a", "z"):
        client = presence_client(server, name)
        client.join(room)
        peer = AiortcPeer(client, in_loop)
        page.run("(id) => { window.call = client.call(id) }", name)
        peer.call("m")
        talk(page, "m", peer, name)
        peer.close()


@ON_EVENTLET
def test_two_aiortc_peers_offer_at_the_same_instant(
    server: LiveServer, presence_client: NewClient, in_loop: InLoop, room: str
) -> None:
    clients = [presence_client(server, name) for name in ("alice", "bob")]
    for client in clients:
        client.join(room)
    alice, bob = (AiortcPeer(client, in_loop) for client in clients)

    async def both_call() -> None:
        calls = await asyncio.gather(alice.caller.call("bob"), bob.caller.call("alice"))
        opened = [asyncio.wait_for(call.is_open.wait(), 20) for call in calls]
        await asyncio.gather(*opened)

    for _ in range(min(CAMPAIGN, 20)):
        in_loop(both_call())
    talk(alice, "alice", bob, "bob")
    alice.close()
    bob.close()


@ON_EVENTLET
def test_three_pages_that_call_everyone_make_a_mesh_and_a_fourth_joins_it(
    server: LiveServer, client_page: NewPage, room: str
) -> None:
    names = ["ann", "ben", "cyd"]
    pages = {name: client_page(server) for name in names}
    for name, page in pages.items():
        page.join(room, name)
        page.call()
    late = client_page(server)
    late.join(room, "dan", answers=True)
    pages["dan"] = late
    for name, page in pages.items():
        for other in pages:
            if other != name:
                page.connected_to(other)
    pages["ann"].tell("dan", "welcome")
    late.hears("ann", "welcome")
    late.run("client.leave()")
    for name in names:
        eventually(
            lambda page=pages[name]: page.run("connections.dan.state") == "closed",  # type: ignore[misc]
            f"{name} sees dan leave",
        )


@ON_EVENTLET
def test_streams_travel_and_one_may_be_added_during_a_call(
    server: LiveServer, client_page: NewPage, room: str
) -> None:
    alice, bob = client_page(server), client_page(server)
    alice.join(room, "alice")
    bob.join(room, "bob", answers=True)
    media = "navigator.mediaDevices.getUserMedia({ audio: true })"
    alice.run(f"async () => {{ window.call = client.call('bob', await {media}) }}")
    talk(alice, "alice", bob, "bob")
    count = "(id) => connections[id].remoteStreams.length"
    eventually(lambda: bob.run(count, "alice") == 1, "bob gets alice's stream")
    assert alice.run(count, "bob") == 0
    bob.run(f"async () => connections.alice.addStream(window.own = await {media})")
    eventually(lambda: alice.run(count, "bob") == 1, "alice gets bob's stream")
    bob.run("connections.alice.removeStream(own)")
    talk(alice, "alice", bob, "bob")


@ON_EVENTLET
def test_a_call_that_nobody_takes_fails_with_a_reason_and_can_be_taken_later(
    server: LiveServer, client_page: NewPage, room: str
) -> None:
    alice, bob = client_page(server), client_page(server)
    alice.join(room, "alice")
    bob.join(room, "bob")
    alice.call("bob")
    eventually(lambda: alice.run("connections.bob.state") == "failed", "the call is declined")
    assert alice.run("connections.bob.reason") == "“bob” takes no calls at the moment."
    bob.call("alice")
    talk(alice, "alice", bob, "bob")


@ON_EVENTLET
def test_a_call_needs_a_room(server: LiveServer, client_page: NewPage) -> None:
    page = client_page(server)
    code = page.run("() => { try { client.call('x') } catch (error) { return error.code } }")
    assert code == "not_joined"
