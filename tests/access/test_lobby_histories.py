"""Histories of knocking, admission, losses and restarts, made up by chance, against a model.

Nobody hears or reads anything of a room before being admitted, and no more are in it than places.
PRESENCE_TEST_ROUNDS makes a campaign of it, PRESENCE_TEST_SEED one of those that there were again.
"""

from __future__ import annotations

import os
import random
import time
from typing import Any

import pytest

from local_cluster.live_server import LiveServer
from local_cluster.waiting import eventually
from tests.support.callers import ROOMS, admin, ask, join
from tests.support.clients import Body, PythonClient, events
from tests.support.keys import EVERYTHING, LOCKED, token

ROUNDS = int(os.environ.get("PRESENCE_TEST_ROUNDS", "1"))
STEPS = 45
GUESTS = ("ada", "bob", "cyd", "dan")
PLACES = 3  # one of them the host's
# What a guest may hear who is not in the room: refusals of what it asked for.
OUTSIDE = {"join_room_error", "leave_room_error", "signal_error", "broadcast_error", "watch_error"}
pytestmark = pytest.mark.timeout(120 + 60 * ROUNDS)


class _Guest:
    """A guest, and what it should be: outside, waiting, or inside."""

    def __init__(self, name: str, room: str) -> None:
        self.name, self.room = name, room
        self.token = token(name, room, EVERYTHING)
        self.client: PythonClient | None = None
        self.state = "outside"
        # Whether it was inside and lost its connection a moment ago.
        self.may_come_back = False
        self._heard = 0

    def connect(self, server: LiveServer) -> None:
        self.client = PythonClient(server.url, ["websocket"], {"token": self.token})
        self._heard = 0

    def knock(self) -> Body:
        assert self.client is not None
        return dict(self.client.call("join_room", join(self.room, self.name)))

    def check_hears_nothing(self) -> None:
        """Look at what came since the last look, of which all was to be heard outside."""
        if self.client is None:
            return
        news = self.client.received[self._heard :]
        self._heard += len(news)
        told = [(name, body) for name, body in news if name not in OUTSIDE]
        assert told == [], f"{self.name} heard of a room in which it never was"

    def skip(self) -> None:
        """Forget what came: it may all be heard by those inside."""
        if self.client is not None:
            self._heard = len(self.client.received)


class _History:
    """Steps by chance, each with what the model says of it."""

    def __init__(self, server: LiveServer, room: str, chance: random.Random) -> None:
        self.server, self.room, self.chance = server, room, chance
        terms = {"lobby": True, "max_peers": PLACES}
        assert ask(server, "PUT", f"{ROOMS}/{room}", admin(room), json=terms).ok
        self.host_token = token("host", room, (*EVERYTHING, "admit"))
        self.host = self._host()
        self.guests = [_Guest(name, room) for name in GUESTS]
        self.log: list[str] = []

    def _host(self) -> PythonClient:
        host = PythonClient(self.server.url, ["websocket"], {"token": self.host_token})
        assert host.call("join_room", join(self.room, "host"))["ok"]
        return host

    def run(self, steps: int) -> None:
        for _ in range(steps):
            guest = self.chance.choice(self.guests)
            act = self.chance.choice(
                [self.knock, self.knock, self.admit, self.admit, self.refuse, self.lose, self.leave]
                + [self.read, self.read, self.kick]
                + [self.restart] * (self.chance.random() < 0.1)
            )
            self.log.append(f"{act.__name__} {guest.name}")
            act(guest)
            self.compare()

    @property
    def inside(self) -> list[_Guest]:
        return [guest for guest in self.guests if guest.state == "inside"]

    def knock(self, guest: _Guest) -> None:
        if guest.client is None:
            guest.connect(self.server)
        answer = guest.knock()
        if guest.state == "inside":
            assert answer["ok"], answer
        elif guest.may_come_back:
            is_full = len(self.inside) + 1 >= PLACES
            assert answer["ok"] != is_full, answer
            assert answer["ok"] or answer.get("code") == "room_full"
            if answer["ok"]:
                self._enters(guest)
        else:
            assert answer.get("code") == "waiting", answer
            guest.state = "waiting"

    def admit(self, guest: _Guest) -> None:
        answer = self._say(guest, "admit")
        if guest.state != "waiting":
            assert answer.get("code") == "not_waiting", answer
        elif len(self.inside) + 1 >= PLACES:
            assert answer.get("code") == "room_full", answer
        else:
            assert answer["success"], answer
            self._enters(guest)

    def refuse(self, guest: _Guest) -> None:
        answer = self._say(guest, "refuse")
        if guest.state != "waiting":
            assert answer.get("code") == "not_waiting", answer
            return
        assert answer["success"], answer
        client = guest.client
        assert client is not None
        eventually(
            lambda: any(
                body["code"] == "admission_refused" for body in events(client, "join_room_error")
            ),
            "it is told",
        )
        guest.check_hears_nothing()
        guest.state = "outside"

    def lose(self, guest: _Guest) -> None:
        if guest.client is None:
            return
        if guest.state != "inside":
            guest.check_hears_nothing()
        guest.client.kill()
        guest.client = None
        was, guest.state = guest.state, "outside"
        guest.may_come_back = guest.may_come_back or was == "inside"
        # Whatever it was is gone once the server has noticed.
        eventually(
            lambda: guest.name not in self.knocking() | self.active(), "the server has noticed", 20
        )

    def leave(self, guest: _Guest) -> None:
        if guest.client is None:
            return
        answer = guest.client.call("leave_room", {})
        assert answer["ok"] == (guest.state == "inside"), answer
        if guest.state == "inside":
            guest.may_come_back = False
            guest.skip()
        guest.state = "outside"

    def kick(self, guest: _Guest) -> None:
        path = f"{ROOMS}/{self.room}/peers/{guest.name}/kick"
        answer = ask(self.server, "POST", path, admin(self.room))
        if answer.ok:
            guest.may_come_back = False
            if guest.state == "inside":
                guest.state = "outside"
                client = guest.client
                assert client is not None
                eventually(lambda: events(client, "leave_room_success"), "it is put out")
                client.disconnect()
                guest.client = None

    def read(self, guest: _Guest) -> None:
        for path in ("", "/peers/host", "/activity"):
            answer = ask(self.server, "GET", f"{ROOMS}/{self.room}{path}", guest.token)
            if guest.state == "inside":
                assert answer.ok, answer.text
            else:
                assert answer.json().get("code") == "not_admitted", (path, answer.text)
        in_list = self.room in ask(self.server, "GET", ROOMS, guest.token).json()
        assert in_list == (guest.state == "inside")
        if guest.client is not None and guest.state != "inside":
            assert not guest.client.call("watch", {"room_name": self.room})["ok"]
            assert not guest.client.call("broadcast", {"event": "e", "data": 1})["ok"]
            assert not self.host.call("signal", {"to": guest.name, "data": "secret"})["ok"]

    def restart(self, _guest: _Guest) -> None:
        for guest in self.guests:
            if guest.client is not None:
                if guest.state != "inside":
                    guest.check_hears_nothing()
                guest.client.kill()
                guest.client = None
            guest.may_come_back = guest.may_come_back or guest.state == "inside"
            guest.state = "outside"
        self.host.kill()
        self.server.kill()
        self.server.start()
        self.host = self._host()

    def compare(self) -> None:
        """Compare who waits and who is inside, and what those outside have heard."""
        for guest in self.guests:
            if guest.state == "inside":
                guest.skip()
            else:
                guest.check_hears_nothing()
        inside = {"host", *(guest.name for guest in self.inside)}
        assert self.active() == inside
        assert len(inside) <= PLACES
        assert self.knocking() == {one.name for one in self.guests if one.state == "waiting"}

    def active(self) -> set[str]:
        body = ask(self.server, "GET", f"{ROOMS}/{self.room}", self.host_token).json()
        return {peer["peer_id"] for peer in body["peers"] if peer["is_active"]}

    def knocking(self) -> set[str]:
        path = f"{ROOMS}/{self.room}/knocking"
        body = ask(self.server, "GET", path, self.host_token).json()
        return {one["peer_id"] for one in body["knocking"]}

    def close(self) -> None:
        for client in (self.host, *(guest.client for guest in self.guests)):
            if client is not None:
                client.disconnect()

    def _enters(self, guest: _Guest) -> None:
        guest.state = "inside"
        guest.may_come_back = False
        client = guest.client
        assert client is not None
        eventually(lambda: events(client, "join_room_success"), "it is in")

    def _say(self, guest: _Guest, what: str) -> Any:
        path = f"{ROOMS}/{self.room}/knocking/{guest.name}/{what}"
        return ask(self.server, "POST", path, self.host_token, json={}).json()


def test_whatever_happens_a_lobby_lets_in_only_who_was_admitted(
    tmp_path_factory: pytest.TempPathFactory, room: str
) -> None:
    server = LiveServer(tmp_path_factory.mktemp("lobbies"), **LOCKED).start()
    seed = int(os.environ.get("PRESENCE_TEST_SEED", "0")) or int(time.time())
    try:
        for number in range(ROUNDS):
            history = _History(server, f"{room}-{number}", random.Random(seed + number))
            try:
                history.run(STEPS)
            except AssertionError as error:
                raise AssertionError(f"seed {seed + number}: {history.log}") from error
            finally:
                history.close()
    finally:
        server.kill()
