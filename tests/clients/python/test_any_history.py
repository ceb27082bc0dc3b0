"""Whatever is called in whatever order, a client is where it says, and every call ends truly.

Histories are made at random, of calls that overlap, connections that are cut, shut and held up,
full rooms, admins, tokens that fail and end, two clients as one peer, and restarts of the server.
At every quiet point what each client says of itself is what the server says of it, to the
session.
`PRESENCE_TEST_HISTORIES` is the number of histories, `PRESENCE_TEST_FIRST` that of the first;
`PRESENCE_TEST_SEED` repeats one.
"""

from __future__ import annotations

import os
import random
import threading
from collections import Counter
from concurrent.futures import wait
from typing import Any

import pytest
import requests

from . import kinds
from .conftest import NewLine
from .kinds import Driven
from .line import Line
from .model import Player, Tokens
from .support import LiveServer, eventually, token

HISTORIES = int(os.environ.get("PRESENCE_TEST_HISTORIES", "40"))
FIRST = int(os.environ.get("PRESENCE_TEST_FIRST", "0"))
SEED = os.environ.get("PRESENCE_TEST_SEED")
STEPS = 14
# How long a call waits at most: long enough that a busy machine alone makes none fail.
SECONDS = 30.0
# Two of them are one peer, and every room has two places.
PEERS = ("ada", "ada", "bob", "cyd")

WEIGHTS: dict[str, int] = {
    "join": 30,
    "join_and_wait": 4,
    "burst": 16,
    "leave": 10,
    "close": 2,
    "count": 10,
    "signal": 4,
    "cut": 8,
    "shut": 4,
    "hold": 2,
    "open": 8,
    "fail_tokens": 2,
    "kick": 4,
    "ban": 2,
    "unban": 2,
    "close_room": 1,
    "reopen_room": 2,
    "wait": 8,
    "quiet": 4,
}


class History:
    """A sequence of things that happen to some clients, made from a number."""

    def __init__(
        self, seed: str, kind: str, server: LiveServer, lines: list[Line], restarts: bool
    ) -> None:
        self.random = random.Random(seed)
        self.server = server
        self.kind = kind
        self.rooms = [f"{seed} {number}" for number in range(2)]
        self.restarts = restarts
        self.log: list[str] = []
        # What holds for a peer, or for all of them, from some time on.
        self.lasting: list[tuple[str | None, str]] = []
        # Increments that were answered, and those of which nobody knows.
        self.counted: Counter[tuple[str, str]] = Counter()
        self.lines = lines
        self.ends_tokens = self.random.random() < 0.15
        self.players = [self.player(index) for index in range(len(PEERS))]
        self.closed: list[tuple[Player, int]] = []

    def player(self, index: int) -> Player:
        peer_id, line = PEERS[index], self.lines[index]
        ttl = 2 if self.ends_tokens and index == 2 else 600
        tokens = Tokens(lambda: token(peer_id, "*", ttl=ttl))
        driven: Driven = kinds.make(
            self.kind, line.url, peer_id=peer_id, token=tokens, timeout=SECONDS
        )
        player = Player(driven, peer_id, line, tokens, heard=driven.listen())
        if ttl == 2:
            player.happens("trouble", lasts=True)
        player.happens("crowd", lasts=True)
        for concerned, what in self.lasting:
            if concerned in (None, peer_id):
                player.happens(what, lasts=True)
        return player

    def run(self) -> None:
        """Let it happen, and hold it against the model."""
        try:
            for player in self.players[::2]:
                player.driven.call("connect")
            for _ in range(STEPS):
                self.step()
            # What overtakes something at the very end shows what is left of that.
            for index, player in enumerate(self.players):
                if self.random.random() < 0.5:
                    self.do_burst(index, player, "")
            if self.restarts:
                self.restart()
            self.quiet()
            self.end()
        finally:
            for player in self.players:
                player.line.open()
                player.tokens.fails = False
                player.driven.call("close")

    def step(self) -> None:
        name = self.random.choices(list(WEIGHTS), list(WEIGHTS.values()))[0]
        index = self.random.randrange(len(self.players))
        room = self.random.choice(self.rooms)
        self.log.append(f"{name} {index} {room[-1]}")
        getattr(self, f"do_{name}")(index, self.players[index], room)

    def do_join(self, _index: int, player: Player, room: str) -> None:
        player.begin("join", room, room=room)

    def do_join_and_wait(self, _index: int, player: Player, room: str) -> None:
        player.begin("join", room, room=room, wait_for_place=True)

    def do_burst(self, index: int, player: Player, _room: str) -> None:
        """Make some calls at once, each of which may overtake those before it."""
        for name in self.random.choices(("join", "join_and_wait", "leave"), (5, 1, 4), k=3):
            getattr(self, f"do_{name}")(index, player, self.random.choice(self.rooms))

    def do_leave(self, _index: int, player: Player, _room: str) -> None:
        player.begin("leave")

    def do_close(self, index: int, player: Player, _room: str) -> None:
        player.begin("close")
        player.calls[-1].future.result(2 * SECONDS)
        asked = player.tokens.asked
        self.ended(player)
        self.closed.append((player, asked))
        self.players[index] = self.player(index)
        if "shut" in player.current or "held" in player.current:
            self.players[index].happens("trouble", lasts=True)

    def do_count(self, _index: int, player: Player, _room: str) -> None:
        player.begin("update", lambda data: {"count": data.get("count", 0) + 1})

    def do_signal(self, _index: int, player: Player, _room: str) -> None:
        player.begin("signal", self.random.choice(PEERS), {"some": "data"})

    def do_cut(self, _index: int, player: Player, _room: str) -> None:
        # What is called before the client has noticed is lost with the rest.
        player.happens("trouble", lasts=True)
        player.line.cut()

    def do_shut(self, _index: int, player: Player, _room: str) -> None:
        player.happens("trouble", lasts=True)
        player.line.shut()

    def do_hold(self, _index: int, player: Player, _room: str) -> None:
        player.happens("trouble", lasts=True)
        player.line.hold()

    def do_open(self, _index: int, player: Player, _room: str) -> None:
        player.line.open()

    def do_fail_tokens(self, _index: int, player: Player, _room: str) -> None:
        player.happens("tokens", lasts=True)
        player.tokens.fails = True

    def do_kick(self, _index: int, player: Player, room: str) -> None:
        self.put_out(player.peer_id, room, "kick", f"peers/{player.peer_id}/kick")

    def do_ban(self, _index: int, player: Player, room: str) -> None:
        self.put_out(player.peer_id, room, "ban", f"peers/{player.peer_id}/ban", lasts=True)

    def do_unban(self, _index: int, player: Player, room: str) -> None:
        self.admin("POST", room, f"peers/{player.peer_id}/unban")

    def do_close_room(self, _index: int, _player: Player, room: str) -> None:
        self.put_out(None, room, "close_room", "close", lasts=True)

    def do_reopen_room(self, _index: int, _player: Player, room: str) -> None:
        self.admin("POST", room, "reopen")

    def do_wait(self, _index: int, _player: Player, _room: str) -> None:
        threading.Event().wait(self.random.random() * 0.15)

    def do_quiet(self, _index: int, _player: Player, _room: str) -> None:
        self.quiet()

    def put_out(
        self, peer_id: str | None, room: str, name: str, path: str, *, lasts: bool = False
    ) -> None:
        if lasts:
            self.lasting.append((peer_id, name))
        for player in self.players:
            if peer_id in (None, player.peer_id):
                player.happens(name, lasts=lasts)
        self.admin("POST", room, path)

    def restart(self) -> None:
        self.log.append("restart")
        for player in self.players:
            player.happens("trouble", lasts=True)
        self.server.kill()
        self.server.start(60)

    def quiet(self) -> None:
        """Let everything come to rest, and look whether all of it fits."""
        self.log.append("quiet")
        for player in self.players:
            player.line.open()
            player.tokens.fails = False
            player.happens("trouble" if "trouble" in player.current else "rest")
        eventually(
            lambda: not [c for p in self.players for c in p.pending if not self.may_wait(p, c)],
            "every call ends",
            2 * SECONDS,
        )
        eventually(self.fits, "clients and server agree", SECONDS, interval=0.05)
        for player in self.players:
            player.check()
            eventually(lambda player=player: self.is_told(player), "it is told")  # type: ignore[misc]
            player.replay()
            if not self.ends_tokens:
                player.current.discard("trouble")
            player.current.discard("tokens")

    def may_wait(self, player: Player, call: Any) -> bool:
        return bool(call.waits and self.is_full(call.room) and call is player.newest)

    def is_full(self, room: str) -> bool:
        return len([n for n in self.sessions().get(room, {}).values() if n]) >= 2

    def fits(self) -> bool:
        """Tell whether every client's place is one of the server's sessions, and no other is."""
        expected: dict[str, Counter[str]] = {room: Counter() for room in self.rooms}
        for player in self.players:
            if player.driven.state == "joined":
                expected[player.driven.client.room_name][player.peer_id] += 1
            elif player.driven.state in ("connecting", "reconnecting"):
                room = player.driven.client.room_name or player.last_wish
                if not self.is_full(room):
                    return False
        if any(dict(expected[room]) != self.sessions().get(room, {}) for room in self.rooms):
            return False
        listed = self.listed()
        return all(
            player.driven.client.peers == listed[player.driven.client.room_name]["peers"]
            for player in self.players
            if player.driven.state == "joined"
        )

    def is_told(self, player: Player) -> bool:
        told = [value for event, value in list(player.heard) if event == "state"]
        lists = [value for event, value in list(player.heard) if event == "peers"]
        return (told or ["idle"])[-1] == player.driven.state and (
            not lists or lists[-1]["peers"] == player.driven.client.peers
        )

    def listed(self) -> dict[str, Any]:
        listed: dict[str, Any] = self.admin("GET")
        return listed

    def sessions(self) -> dict[str, dict[str, int]]:
        listed = self.listed()
        return {
            room: {
                peer["peer_id"]: peer["session_count"]
                for peer in listed[room]["peers"]
                if peer["is_active"]
            }
            for room in self.rooms
            if room in listed
        }

    def admin(self, method: str, *path: str) -> Any:
        url = "/".join([f"{self.server.url}/api/webrtc/rooms", *path])
        headers = {"Authorization": f"Bearer {token('admin', '*', ['admin', 'list'])}"}
        return requests.request(method, url, headers=headers, timeout=20).json()

    def ended(self, player: Player) -> None:
        """Count what a client has counted; what has no answer may be stored or not."""
        for call in player.calls:
            if call.name == "update" and call.future.exception(2 * SECONDS) is None:
                answer = call.future.result()
                self.counted[answer["room_name"], player.peer_id] += 1

    def end(self) -> None:
        """Close everything, and look what is left."""
        for player in self.players:
            player.begin("close")
            player.calls[-1].future.result(2 * SECONDS)
            self.closed.append((player, player.tokens.asked))
            self.ended(player)
        for player, asked in self.closed:
            for call in player.calls:
                # It has ended, and its thread may not have had its turn to say so.
                wait([call.future], SECONDS)
                call.check()
            player.check()
            assert player.tokens.asked == asked, "no token is asked for after the end"
        assert self.sessions() == {room: {} for room in self.sessions()}
        eventually(lambda: not any(line.connections for line in self.lines), "no socket is left")
        listed = self.listed()
        unknown = sum(
            call.name == "update"
            and call.error is not None
            and call.error.code in ("connection_lost", "closed", "timeout")
            for player, _ in self.closed
            for call in player.calls
        )
        for (room, peer_id), count in self.counted.items():
            (data,) = [p["user_data"] for p in listed[room]["peers"] if p["peer_id"] == peer_id]
            assert count <= data["count"] <= count + unknown


@pytest.fixture
def lines(line: NewLine, locked_server: LiveServer) -> list[Line]:
    """One line to the server for each client."""
    return [line(locked_server) for _ in PEERS]


@pytest.mark.timeout(120 + 30 * HISTORIES)
def test_a_client_is_where_it_says_at_every_quiet_point(
    locked_server: LiveServer,
    lines: list[Line],
    kind: str,
) -> None:
    for number in range(FIRST, FIRST + HISTORIES // 2 if SEED is None else FIRST + 1):
        seed = SEED or f"{kind} {number}"
        # A start takes long, so one of the first has a restart, and later one in fifty.
        restarts = number % 50 == 7
        history = History(seed, kind, locked_server, lines, restarts)
        try:
            history.run()
        except BaseException as error:
            error.add_note(f"PRESENCE_TEST_SEED={seed!r}: {'; '.join(history.log)}")
            raise
        if number % 100 == 99:
            print(f"{seed} is done", flush=True)
