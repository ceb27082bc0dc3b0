"""Clients that recover by themselves: the server crashes, a page is loaded anew, a peer goes."""

from __future__ import annotations

import os
import signal
import threading
from typing import Any

import pytest
from presence_client import Client, PresenceError

from local_cluster.live_server import LiveServer
from local_cluster.waiting import eventually
from tests.signalling.aiortc_peer import AiortcPeer, talk
from tests.signalling.conftest import (
    ON_EVENTLET,
    InLoop,
    Member,
    NewClient,
    NewPage,
    NewServer,
)
from tests.support.clients import shows

MODES = pytest.mark.parametrize("mode", ["eventlet", "threading"])


def freeze(live: LiveServer) -> None:
    """Stop the server's processes where they are: what is sent now is in flight when it crashes."""
    assert live._process is not None
    os.killpg(live._process.pid, signal.SIGSTOP)


def active(client: Client) -> set[str]:
    return {peer["peer_id"] for peer in client.active_peers}


@MODES
def test_a_call_outlives_a_crash_of_the_server_with_a_signal_in_flight(
    new_server: NewServer, client_page: NewPage, room: str, mode: str
) -> None:
    live = new_server(mode)
    alice, bob = client_page(live), client_page(live)
    alice.join(room, "alice")
    bob.join(room, "bob", answers=True)
    alice.call("bob")
    talk(alice, "alice", bob, "bob")

    freeze(live)
    # A new stream has to be negotiated; its offer goes out and is never read.
    alice.run(
        "async () => call.addStream(await navigator.mediaDevices.getUserMedia({ audio: true }))"
    )
    eventually(
        lambda: alice.run("connections.bob.pc.signalingState") == "have-local-offer",
        "an offer is in flight",
    )
    live.kill()
    alice.tell("bob", "without a server")
    bob.hears("alice", "without a server")
    live.start()

    everybody = "client.state === 'joined' && client.activePeers.length === 2"
    for page in (alice, bob):
        eventually(lambda page=page: page.run(everybody), "both are back", 20, interval=0.1)  # type: ignore[misc]
    eventually(
        lambda: bob.run("connections.alice.remoteStreams.length") == 1,
        "the offer arrives after all",
        20,
        interval=0.1,
    )
    talk(alice, "alice", bob, "bob")
    assert alice.run("call.connections.length") == 1
    assert alice.run("happened.filter(([event]) => event === 'joined').length") == 2


@MODES
def test_python_clients_are_back_after_a_crash_and_the_call_goes_on(
    new_server: NewServer, presence_client: NewClient, in_loop: InLoop, room: str, mode: str
) -> None:
    live = new_server(mode)
    clients = [presence_client(live, name) for name in ("alice", "bob")]
    for client in clients:
        client.join(room, user_data={"kept": True})
    alice, bob = (AiortcPeer(client, in_loop) for client in clients)
    alice.call("bob")
    talk(alice, "alice", bob, "bob")

    freeze(live)
    outcome: list[str] = []

    def send() -> None:
        try:
            clients[0].signal("bob", "in flight")
        except PresenceError as error:
            outcome.append(error.code)

    sender = threading.Thread(target=send)
    sender.start()
    live.kill()
    live.start()
    sender.join(10)
    assert outcome == ["connection_lost"]
    for client in clients:
        client.wait_for(lambda c: c.state == "joined" and active(c) == {"alice", "bob"}, 20)
        assert client.active_peers[0]["user_data"] == {"kept": True}
    assert clients[0].signal("bob", "after")["status"] == "delivered"
    talk(alice, "alice", bob, "bob")
    alice.close()
    bob.close()


# The end of a connection that polls is not heard of, so the page before seems to be there still.
@pytest.mark.parametrize("transport", ["websocket", "polling"])
@ON_EVENTLET
def test_a_page_that_is_loaded_anew_is_called_again(
    server: LiveServer, client_page: NewPage, room: str, transport: str
) -> None:
    alice = client_page(server, patience=1000)
    bob = client_page(server, socket={"transports": [transport]})
    alice.join(room, "alice")
    bob.join(room, "bob", answers=True)
    alice.call("bob")
    talk(alice, "alice", bob, "bob")
    bob.load()
    bob.join(room, "bob", answers=True)
    bob.connected_to("alice", 30)
    talk(alice, "alice", bob, "bob")
    assert alice.run("call.connections.length") == 1


@ON_EVENTLET
def test_a_mesh_survives_that_one_of_its_pages_is_loaded_anew(
    server: LiveServer, client_page: NewPage, room: str
) -> None:
    pages = {name: client_page(server, patience=1000) for name in ("ann", "ben")}
    for name, page in pages.items():
        page.join(room, name)
        page.call()
    talk(pages["ann"], "ann", pages["ben"], "ben")
    for _ in range(3):
        pages["ben"].load()
        pages["ben"].join(room, "ben")
        pages["ben"].call()
        pages["ben"].connected_to("ann", 30)
        talk(pages["ann"], "ann", pages["ben"], "ben")
        eventually(
            lambda: pages["ann"].run("call.connections.length") == 1, "one connection is left", 30
        )


@ON_EVENTLET
def test_a_connection_that_breaks_on_one_side_is_made_again(
    server: LiveServer, client_page: NewPage, room: str
) -> None:
    alice, bob = client_page(server, patience=1000), client_page(server, patience=1000)
    alice.join(room, "alice")
    bob.join(room, "bob", answers=True)
    alice.call("bob")
    talk(alice, "alice", bob, "bob")
    before = alice.run("connections.bob.id")
    bob.run("connections.alice.pc.close()")
    eventually(lambda: alice.run("connections.bob.id") != before, "it is built anew", 20)
    talk(alice, "alice", bob, "bob")


@ON_EVENTLET
def test_a_peer_that_went_without_a_word_is_given_up_after_a_while(
    server: LiveServer, client_page: NewPage, room: str
) -> None:
    alice, bob = client_page(server, patience=1000), client_page(server)
    alice.join(room, "alice")
    bob.join(room, "bob", answers=True)
    alice.call()
    alice.connected_to("bob")
    bob.close()
    eventually(
        lambda: alice.run("call.connections.length") == 0, "alice gives up", 40, interval=0.2
    )
    assert alice.run("connections.bob.reason") == "“bob” is not in the room any more."


def test_user_data_is_put_back_when_the_server_lost_its_database(
    new_server: NewServer, client_page: NewPage, presence_client: NewClient, room: str
) -> None:
    live = new_server()
    page, client = client_page(live), presence_client(live, "robot")
    page.run("(room) => client.join(room, { peerId: 'alice', userData: { mood: 'calm' } })", room)
    page.run("client.update({ mood: 'glad' })")
    client.join(room, user_data={"a": 1})
    client.update({"b": 2})
    live.kill()
    for path in live.folder.glob("presence.db*"):
        path.unlink()
    live.start()

    def data_of(peer_id: str) -> Any:
        return next((p["user_data"] for p in client.peers if p["peer_id"] == peer_id), None)

    eventually(lambda: data_of("alice") == {"mood": "glad"}, "alice's data is back", 20)
    eventually(lambda: data_of("robot") == {"a": 1, "b": 2}, "the robot's data is back", 20)


def test_what_others_changed_meanwhile_is_not_overwritten_by_rejoining(
    new_server: NewServer, presence_client: NewClient, room: str
) -> None:
    live = new_server()
    client = presence_client(live, "robot")
    client.join(room, user_data={"colour": "red"})
    client.update({"colour": "blue"})
    live.kill()
    live.start()
    client.wait_for(lambda c: c.state == "joined" and c.peers and c.version, 20)
    assert client.active_peers[0]["user_data"] == {"colour": "blue"}


@ON_EVENTLET
def test_who_leaves_while_the_connection_is_away_is_not_put_back(
    server: LiveServer, client_page: NewPage, member: Member, room: str
) -> None:
    witness = member(server, "bob")
    page = client_page(server)
    page.join(room, "alice")
    shows(witness, "alice", is_active=True)
    page.run("() => { client.socket.io.engine.close(); return client.leave() }")
    assert page.run("client.roomName") is None
    page.run("client.connect()")
    eventually(lambda: page.run("client.connected"), "the page reconnects")
    # Whoever is put back is so before the connection can be used.
    page.run("client.watch()")
    assert witness.call("signal", {"to": "alice", "data": 1}).get("status") != "delivered"
    shows(witness, "alice", is_active=False)
