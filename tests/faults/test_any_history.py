"""Whatever happens in a room, a client that follows its changes ends up with the server's list.

A hypothesis state machine makes histories of joins, updates of peers and of the room, kept
broadcasts, leaves, lost connections, uploads, erasures and crashes against a real server, while two
clients follow the room: one reads everything late, the other loses messages as well.
`PRESENCE_TEST_EXAMPLES` is the number of histories (200 for a full campaign).
"""

from __future__ import annotations

import itertools
import json
import os
import sqlite3
from collections.abc import Callable
from typing import Any

import pytest
import requests
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)

from local_cluster.live_server import LiveServer
from local_cluster.waiting import eventually
from tests.faults.follower import Follower
from tests.support.raw_socket import RawSocket

EXAMPLES = int(os.environ.get("PRESENCE_TEST_EXAMPLES", "5"))

NAMES = st.sampled_from([f"p{number}" for number in range(4)])
DATA = st.dictionaries(
    st.sampled_from(["a", "b", "c"]),
    st.sampled_from([0, 1, 1.0, True, None, "é", [1, {}], {"deep": [False]}]),
    max_size=3,
)


class Histories(RuleBasedStateMachine):
    """A room in which anything may happen; `server` is set by the test."""

    server: LiveServer
    rooms = itertools.count(1)

    @initialize()
    def begin(self) -> None:
        self.room = f"history {next(self.rooms)}"
        self.sockets: dict[str, RawSocket] = {}
        self.joined: set[str] = set()  # over a socket
        self.over_rest: set[str] = set()
        self.files: list[str] = []
        self.marks = itertools.count(1)
        self.rest("post", "join", {"peer_id": "marker", "username": "Marker"})
        self.late = Follower(self.server, self.room, "late")
        self.losing = Follower(self.server, self.room, "losing")
        self.followers = (self.late, self.losing)

    @rule(name=NAMES, data=DATA)
    def join(self, name: str, data: dict[str, Any]) -> None:
        if name not in self.sockets:
            self.sockets[name] = RawSocket(self.server)
        self.event(
            name, "join_room", room_name=self.room, peer_id=name, username=name, user_data=data
        )
        self.joined.add(name)

    @rule(name=NAMES, data=DATA)
    def join_over_rest(self, name: str, data: dict[str, Any]) -> None:
        self.rest("post", "join", {"peer_id": name, "username": name, "user_data": data})
        self.over_rest.add(name)

    @rule(name=NAMES, data=DATA, replace=st.booleans(), times=st.integers(1, 5))
    def update(self, name: str, data: dict[str, Any], replace: bool, times: int) -> None:
        if name in self.joined:
            for number in range(times):
                body = {"user_data": {**data, "number": number}, "replace": replace}
                self.sockets[name].send("42" + json.dumps(["update_user_data", body]))

    @rule(name=NAMES, data=DATA, replace=st.booleans(), times=st.integers(1, 5))
    def update_the_room(self, name: str, data: dict[str, Any], replace: bool, times: int) -> None:
        if name in self.joined:
            for number in range(times):
                body = {"room_data": {**data, "number": number}, "replace": replace}
                self.sockets[name].send("42" + json.dumps(["update_room_data", body]))
        else:
            self.rest("post", "data", {"room_data": data, "replace": replace})

    @rule(name=NAMES, data=DATA, times=st.integers(1, 5))
    def say_something_that_is_kept(self, name: str, data: dict[str, Any], times: int) -> None:
        if name in self.joined:
            body = {"event": "chat", "data": data, "keep": True}
            for _ in range(times):
                self.sockets[name].send("42" + json.dumps(["broadcast", body]))

    @rule(name=NAMES)
    def leave(self, name: str) -> None:
        if name in self.joined:
            self.event(name, "leave_room")
            self.joined.discard(name)
            self.over_rest.discard(name)

    @rule(name=NAMES)
    def lose_the_connection(self, name: str) -> None:
        if name in self.sockets:
            self.sockets.pop(name).cut()
            self.joined.discard(name)

    @rule(name=NAMES)
    def upload(self, name: str) -> None:
        response = requests.post(
            f"{self.server.url}/api/webrtc/upload",
            files={"file": ("notes.txt", b"Something.")},
            data={"room_name": self.room, "peer_id": name},
            timeout=10,
        )
        if response.ok:
            self.files.append(response.json()["filename"])

    @precondition(lambda self: self.files)
    @rule()
    def delete_a_file(self) -> None:
        self.rest("delete", f"files/{self.files.pop()}")

    @rule(name=NAMES)
    def erase(self, name: str) -> None:
        self.settle(name)
        self.rest("delete", f"peers/{name}")
        self.joined.discard(name)
        self.over_rest.discard(name)
        self.files.clear()

    @rule(count=st.integers(1, 3))
    def read_a_little(self, count: int) -> None:
        for follower in self.followers:
            follower.receive()
            follower.read(count)

    @rule()
    def lose_a_message(self) -> None:
        self.losing.receive()
        self.losing.lose()

    @precondition(lambda self: self.joined)
    @rule(chance=st.integers(0, 2))
    def crash(self, chance: int) -> None:
        if chance:
            return  # a start takes long
        self.server.kill()
        self.server.start()
        self.sockets.clear()
        self.joined.clear()
        self.over_rest = set()
        for follower in self.followers:
            follower.come_back()

    @rule()
    def be_quiet(self) -> None:
        for name in list(self.sockets):
            self.settle(name)
        active = self.joined | self.over_rest | {"late", "losing"}
        eventually(
            lambda: (
                {p["peer_id"] for p in self.stored()["peers"] if p["is_active"]} - {"marker"}
                == active
            ),
            f"exactly {active} are active",
        )
        mark = next(self.marks)
        # A client that lost the last change learns of it by the next.
        self.rest("post", "update-data?peer_id=marker", {"user_data": {"mark": mark}})
        newest = self.stored()
        for follower in self.followers:

            def has_caught_up(follower: Follower = follower) -> bool:
                follower.receive()
                follower.read()
                return bool(follower.list.version >= newest["version"])

            eventually(has_caught_up, f"{follower.name} has version {newest['version']}")
            assert follower.list.sorted() == newest["peers"]
            assert follower.list.data == newest.get("room_data", {})
            self.has_heard_all(follower)
        assert self.stored()["version"] == newest["version"], "it was quiet"
        assert self.late.list.gaps == 0

    def has_heard_all(self, follower: Follower) -> None:
        """Check that a follower hears every kept broadcast once, and in order."""
        kept = self.kept()

        def has_heard_the_last() -> bool:
            follower.receive()
            follower.read()
            return set(kept) <= set(follower.heard)

        eventually(has_heard_the_last, f"{follower.name} has heard all of {kept}")
        assert follower.heard == sorted(set(follower.heard)), "once, and in order"

    def kept(self) -> list[int]:
        """Return the ids of the broadcasts that the room keeps."""
        database = sqlite3.connect(self.server.database)
        try:
            query = "SELECT number FROM broadcasts JOIN rooms ON rooms.id = room_id "
            query += "WHERE rooms.name = ?"
            return [number for (number,) in database.execute(query, [self.room])]
        finally:
            database.close()

    def teardown(self) -> None:
        if hasattr(self, "followers"):
            self.be_quiet()
            for raw in self.sockets.values():
                raw.close()
            for follower in self.followers:
                follower.close()

    def settle(self, name: str) -> None:
        """Wait until the server has handled everything that a socket sent."""
        if name in self.sockets:
            self.event(name, "sync", since=0)

    def event(self, name: str, event: str, **body: Any) -> None:
        """Send an event over a peer's socket, and wait for its acknowledgement."""
        raw = self.sockets[name]
        raw.send("427" + json.dumps([event, body]))
        while not (text := raw.receive()).startswith("437"):
            assert text, "the connection is open"

    def rest(self, method: str, path: str, body: dict[str, Any] | None = None) -> None:
        url = f"{self.server.url}/api/webrtc/rooms/{self.room}/{path}"
        assert requests.request(method, url, json=body, timeout=10).status_code in (200, 404)

    def stored(self) -> dict[str, Any]:
        url = f"{self.server.url}/api/webrtc/rooms/{self.room}"
        body: dict[str, Any] = requests.get(url, timeout=10).json()
        return body


@pytest.mark.timeout(3000)
def test_followers_have_the_servers_list_at_every_quiet_point(
    new_server: Callable[..., LiveServer],
) -> None:
    # Followers answer pings when they read, which a busy machine lets them do late.
    server = new_server(
        PRESENCE_REST_SESSION_SECONDS=3600,
        PRESENCE_PING_TIMEOUT=60,
        PRESENCE_KEEP_BROADCASTS=10_000,
    )
    machine = type("HistoriesOfThisServer", (Histories,), {"server": server})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=EXAMPLES,
            stateful_step_count=30,
            deadline=None,
            derandomize=EXAMPLES <= 5,
            database=None,
            # Making a history smaller would run it hundreds of times, crashes included.
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
            print_blob=True,
        ),
    )
