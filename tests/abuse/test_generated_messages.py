"""Messages made up by hypothesis: each is answered or closes its connection, and harms nobody.

`PRESENCE_TEST_MESSAGES` says how many to make up: a few hundred here, thousands in a campaign.
"""

from __future__ import annotations

import json
import os
from collections.abc import Generator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from local_cluster.live_server import LiveServer
from local_cluster.waiting import eventually
from tests.support.clients import JavaScriptClient, events
from tests.support.streams import BINARY, TEXT, WebSocketStream, frame

MESSAGES = int(os.environ.get("PRESENCE_TEST_MESSAGES", "300"))
EVENTS = ["join_room", "join", "leave_room", "leave", "update_user_data", "sync", "signal"]
EVENTS += ["broadcast", "watch", "update_room_data", "state"]
FIELDS = ["room_name", "peer_id", "username", "user_data", "remove", "replace", "if_version"]
FIELDS += ["updates", "since", "to", "to_session", "type", "data", "event", "room_data"]
FIELDS += ["keep", "since_broadcast", "state", "states"]

awkward = st.sampled_from(
    [
        *("", ".", "..", "a/b", "\x00", "\u202e", "\ud800", "e\u0301", "😀" * 200, "x" * 20_000),
        *(
            "__proto__",
            "constructor",
            "<script>",
            "' OR 1=1 --",
            "{}",
            "null",
            "messages",
            "canary",
        ),
    ]
)
numbers = st.one_of(
    st.integers(-(2**70), 2**70),
    st.floats(),
    st.sampled_from([10**400, -0.0, 1e308, 2**53 + 1]),
)
scalars = st.one_of(st.none(), st.booleans(), numbers, st.text(max_size=30), awkward)
keys = st.one_of(st.sampled_from(FIELDS), st.text(max_size=10))
values = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=5),
        st.dictionaries(
            st.one_of(st.sampled_from(FIELDS), st.text(max_size=10)), inner, max_size=5
        ),
    ),
    max_leaves=20,
)
bodies = st.one_of(values, st.dictionaries(st.sampled_from(FIELDS), values, max_size=8))
names = st.one_of(st.sampled_from(EVENTS), st.text(max_size=80), awkward)
deep = st.integers(1, 3000).map(lambda depth: "[" * depth + "]" * depth)


def encoded(value: Any) -> str:
    """JSON as a careless client writes it: NaN, infinities and lone surrogates included."""
    return json.dumps(value)


packets = st.one_of(
    # Events, with and without an acknowledgement, with any number of arguments.
    st.builds(
        lambda name, arguments, ack: f"42{ack}{encoded([name, *arguments])}",
        names,
        st.lists(bodies, max_size=3),
        st.sampled_from(["", "", "1", "007", "99999999999999999999"]),
    ),
    st.builds(lambda name, text: f'42["{name}",{text}]', st.sampled_from(EVENTS), deep),
    # Packets of every type, and none.
    st.builds(
        lambda kind, rest: f"4{kind}{rest}", st.integers(0, 9), st.one_of(st.text(), deep, awkward)
    ),
    st.builds(
        lambda kind, attachments, namespace, body: (
            f"4{kind}{attachments}-{namespace}{encoded(['signal', body])}"
        ),
        st.sampled_from([5, 6]),
        st.integers(0, 6),
        st.sampled_from(["", "/,", "/admin,", "/x?y=1,"]),
        st.one_of(bodies, st.just({"_placeholder": True, "num": 0})),
    ),
    st.builds(lambda kind, rest: f"{kind}{rest}", st.integers(0, 9), st.text(max_size=40)),
)
messages = st.one_of(
    packets.map(lambda text: frame(TEXT, text.encode("utf-8", "surrogatepass"))),
    packets.map(lambda text: frame(TEXT, text.encode("utf-8", "replace"))),
    st.binary(max_size=200).map(lambda data: frame(BINARY, data)),
    st.binary(max_size=200).map(lambda data: frame(TEXT, data)),
)


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Generator[LiveServer]:
    live = LiveServer(
        tmp_path_factory.mktemp("messages"),
        PRESENCE_CONNECTS_PER_MINUTE=0,
        PRESENCE_EVENTS_PER_SECOND=0,
    ).start()
    yield live
    live.kill()


class Sender:
    """A connection that is made anew, and joins again, whenever the server has closed it."""

    def __init__(self, server: LiveServer) -> None:
        self._server = server
        self._stream = self._joined()
        self.closed = 0

    def send(self, messages: list[bytes]) -> None:
        """Send messages and wait until the server has dealt with them, one way or the other."""
        self._stream.send(b"".join(messages))
        # Where an attachment is still awaited, this text ends the connection.
        self._stream.send(frame(TEXT, b'42["end",{}]'))
        if not self._stream.event("end_error", 20):
            self._stream.close()
            self._stream = self._joined()
            self.closed += 1

    def _joined(self) -> WebSocketStream:
        stream = WebSocketStream(self._server)
        stream.emit("join_room", {"room_name": "messages", "peer_id": "sender", "username": "S"})
        assert stream.event("join_room_success")
        return stream


def test_whatever_is_sent_is_answered_or_ends_its_own_connection(target: LiveServer) -> None:
    canary = JavaScriptClient(target.url)
    canary.call("join_room", {"room_name": "messages", "peer_id": "canary", "username": "C"})
    sender = Sender(target)

    @settings(
        max_examples=max(1, MESSAGES // 5),
        deadline=None,
        suppress_health_check=list(HealthCheck),
        database=None,
    )
    @given(st.lists(messages, min_size=5, max_size=5))
    def bombard(sent: list[bytes]) -> None:
        sender.send(sent)

    bombard()
    memory = target.memory()
    bombard()
    assert target.memory() - memory < 32 * 1024 * 1024
    # The canary has parsed every list and is still there.
    answer = canary.call("update_user_data", {"user_data": {"still": "here"}})
    assert answer["ok"]
    eventually(
        lambda: any(
            peer["peer_id"] == "canary" and peer["user_data"].get("still") == "here"
            for body in events(canary, "peer_list_updated")[-1:]
            for peer in body["peers"]
        ),
        "the canary hears the newest list",
    )
    assert canary.connected
    canary.disconnect()
    log = target.log_text()
    assert "Traceback" not in log, log[log.index("Traceback") :][:3000]
    assert "internal_error" not in log
    assert sender.closed > 0
