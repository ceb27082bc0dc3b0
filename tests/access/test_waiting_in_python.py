"""Waiting and admitting with the Python client."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from presence_client import Client, PresenceError

from local_cluster.live_server import LiveServer
from local_cluster.waiting import eventually
from tests.support.callers import ROOMS, admin, ask
from tests.support.keys import EVERYTHING, token

HOST = (*EVERYTHING, "admit")


@pytest.fixture
def lobby(locked: LiveServer, room: str) -> str:
    """A room with a lobby."""
    answer = ask(locked, "PUT", f"{ROOMS}/{room}", admin(room), json={"lobby": True})
    assert answer.ok, answer.text
    return room


def peers(client: Client) -> set[str]:
    return {peer["peer_id"] for peer in client.active_peers}


def test_the_python_client_waits_is_let_in_and_sent_away(locked: LiveServer, lobby: str) -> None:
    room = lobby
    with (
        Client(locked.url, token=token("host", room, HOST)) as host,
        # Shorter than it waits.
        Client(locked.url, token=token("ada", room), timeout=1) as ada,
    ):
        told: list[Any] = []
        host.on("peer_waiting", told.append)
        host.join(room)
        waits: list[Any] = []
        ada.on("waiting", waits.append)
        done: list[Any] = []
        joining = threading.Thread(target=lambda: done.append(outcome(ada, room)))
        joining.start()
        eventually(lambda: told and waits, "the host sees her, and she knows that she waits")
        assert told[0]["peer_id"] == "ada"
        assert [one["peer_id"] for one in host.knocking()["knocking"]] == ["ada"]
        joining.join(2)
        assert joining.is_alive(), "her join goes on"
        host.refuse("ada", reason="Not now")
        joining.join(10)
        assert done[0].code == "admission_refused"
        assert done[0].body["reason"] == "Not now"
        assert ada.state == "idle"

        joining = threading.Thread(target=lambda: done.append(outcome(ada, room)))
        joining.start()
        eventually(lambda: len(told) == 2, "she knocks again")
        assert host.admit("ada")["peer_id"] == "ada"
        joining.join(10)
        assert done[1]["peer_id"] == "ada"
        eventually(lambda: peers(host) == peers(ada) == {"host", "ada"}, "both are there")

        ada.leave()
        joining = threading.Thread(target=lambda: done.append(outcome(ada, room)))
        joining.start()
        eventually(lambda: len(told) == 3, "who left waits once more")
        ada.leave()
        joining.join(10)
        assert done[2].code == "left"
        eventually(lambda: host.knocking()["knocking"] == [], "and no longer")


def outcome(client: Client, room: str) -> Any:
    try:
        return client.join(room)
    except PresenceError as error:
        return error
