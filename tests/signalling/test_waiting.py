"""Waiting in front of a room with a lobby, with the JavaScript client."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from presence_client import Client

from local_cluster.live_server import LiveServer
from local_cluster.waiting import eventually
from tests.signalling.conftest import NewPage
from tests.support.callers import ROOMS, admin, ask
from tests.support.keys import EVERYTHING, LOCKED, token

HOST = (*EVERYTHING, "admit")


def test_the_javascript_client_waits_over_a_lost_connection_and_is_let_in(
    new_server: Callable[..., LiveServer], client_page: NewPage, room: str
) -> None:
    locked = new_server(**LOCKED)
    assert ask(locked, "PUT", f"{ROOMS}/{room}", admin(room), json={"lobby": True}).ok
    ada = client_page(locked, token=token("ada", room), timeout=2000)
    ada.run(
        """(room) => {
          window.waits = 0;
          client.on("waiting", () => { waits += 1; });
          window.joining = client.join(room).then((body) => body.peer_id, (error) => error.code);
        }""",
        room,
    )
    eventually(lambda: ada.run("waits") == 1, "she knows that she waits")
    ada.run("() => client.socket.io.engine.close()")
    eventually(lambda: ada.run("waits") == 2, "and waits again", 20)
    with Client(locked.url, token=token("host", room, HOST)) as host:
        seen: list[Any] = []
        host.on("knocking", seen.append)
        host.join(room)
        eventually(lambda: seen, "the host is told who waits already")
        host.refuse("ada", reason="No")
        assert ada.run("joining") == "admission_refused"
        assert ada.run("client.state") == "idle"
        ada.run(
            "(room) => { window.joining = client.join(room).then((body) => body.peers.length) }",
            room,
        )
        eventually(lambda: ada.run("waits") == 3, "she knocks again")
        ada.page.wait_for_timeout(2500)  # longer than a join that is not answered
        host.admit("ada")
        assert ada.run("joining") == 2
        assert ada.run("client.state") == "joined"
        ada.run("() => client.leave()")
        ada.run(
            "(room) => { window.joining = client.join(room).catch((error) => error.code) }", room
        )
        eventually(lambda: ada.run("waits") == 4, "who left waits once more")
        ada.run("() => client.leave()")
        assert ada.run("joining") == "left"
        eventually(lambda: host.knocking()["knocking"] == [], "and no longer")
