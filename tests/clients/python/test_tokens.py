"""A client at a locked server: it shows tokens, fetches fresh ones, and says what fails."""

from __future__ import annotations

import asyncio
import itertools
import threading
import time
from typing import Any

import pytest

from .conftest import NewClient, NewLine
from .kinds import failure
from .support import LiveServer, eventually, token


class Source:
    """A function that fetches tokens, and counts how often."""

    def __init__(self, *tokens: Any) -> None:
        self.asked = 0
        self._tokens = itertools.chain(tokens[:-1], itertools.repeat(tokens[-1]))

    def __call__(self) -> str:
        self.asked += 1
        given = next(self._tokens)
        if isinstance(given, Exception):
            raise given
        return str(given)


def test_who_it_is_is_read_from_the_token(
    locked_server: LiveServer, client: NewClient, room: str
) -> None:
    for shown in (token("ada", room), Source(token("ada", room))):
        ada = client(None, url=locked_server.url, token=shown)
        assert ada.call("join", room)["peer_id"] == ada.client.peer_id == "ada"
        assert ada.client.me["username"] == "ada"
        ada.call("close")
    stranger = client("eve", url=locked_server.url, token=token("ada", room))
    assert stranger.fails("join", room).code == "wrong_peer"


@pytest.mark.parametrize(("shown", "code"), [(None, "token_required"), ("x.y.z", "token_refused")])
def test_it_says_why_it_is_refused(
    locked_server: LiveServer, client: NewClient, room: str, shown: Any, code: str
) -> None:
    ada = client("ada", url=locked_server.url, token=shown)
    assert ada.fails("connect").code == code
    assert ada.fails("join", room).code == code
    assert ada.fails("rooms").code == code
    assert ada.state == "idle"


def test_a_token_function_that_fails_is_told_and_not_asked_again(
    locked_server: LiveServer, client: NewClient, room: str
) -> None:
    problem = RuntimeError("the shop is closed")
    source = Source(problem)
    ada = client("ada", url=locked_server.url, token=source)
    error = ada.fails("join", room)
    assert (error.code, error.__cause__) == ("token_failed", problem)
    assert "the shop is closed" in error.detail
    assert (ada.state, source.asked) == ("idle", 1)
    assert ada.fails("rooms").code == "token_failed"
    assert threading.Event().wait(0.5) is False
    assert source.asked == 2
    nonsense = client("bob", url=locked_server.url, token=lambda: 7)
    assert nonsense.fails("join", room).code == "token_failed"


def test_a_token_function_that_fails_while_the_connection_is_away_is_asked_again(
    locked_server: LiveServer, client: NewClient, line: NewLine, room: str
) -> None:
    good = token("ada", room)
    source = Source(good, *[OSError("no network")] * 3, good)
    wire = line(locked_server)
    ada = client("ada", url=wire.url, token=source)
    heard = ada.listen()
    ada.call("join", room)
    wire.cut()
    eventually(lambda: source.asked == 5 and ada.state == "joined", "it is back")
    assert [e.code for event, e in heard if event == "error"] == ["token_failed"] * 3
    assert not [value for event, value in heard if event == "left"]


def test_no_token_is_asked_for_after_the_end(
    locked_server: LiveServer, client: NewClient, line: NewLine, room: str
) -> None:
    wire = line(locked_server)
    source = Source(token("ada", room))
    ada = client("ada", url=wire.url, token=source)
    ada.call("join", room)
    wire.shut()
    eventually(lambda: source.asked > 2, "it tries to come back")
    ada.call("leave" if source.asked % 2 else "close")
    asked = source.asked
    wire.open()
    assert threading.Event().wait(0.5) is False
    assert source.asked == asked


def test_a_token_function_that_never_returns_holds_nothing_up(
    locked_server: LiveServer, client: NewClient, kind: str, room: str
) -> None:
    release = threading.Event()
    if kind == "asyncio":

        async def fetch() -> str:
            await asyncio.Event().wait()
            return ""
    else:

        def fetch() -> str:  # type: ignore[misc]
            release.wait(30)
            return ""

    ada = client("ada", url=locked_server.url, token=fetch, timeout=0.5)
    assert ada.fails("join", room).code == "token_failed"
    assert ada.fails("rooms").code == "token_failed"
    joining = ada.start("join", room, timeout=20)
    begun = time.monotonic()
    ada.call("close")
    assert time.monotonic() - begun < 3
    assert failure(joining).code == "closed"
    release.set()


def test_a_token_that_ends_is_replaced_by_a_fresh_one(
    locked_server: LiveServer, client: NewClient, room: str
) -> None:
    source = Source(token("ada", room, ttl=2), token("ada", room))
    ada = client("ada", url=locked_server.url, token=source)
    heard = ada.listen()
    ada.call("join", room)
    eventually(lambda: [v["rejoined"] for e, v in heard if e == "joined"] == [False, True], "", 15)
    assert ada.state == "joined"
    assert not [value for event, value in heard if event == "left"]


def test_a_fixed_token_that_ends_ends_the_stay(
    locked_server: LiveServer, client: NewClient, room: str
) -> None:
    ada = client("ada", url=locked_server.url, token=token("ada", room, ttl=2))
    heard = ada.listen()
    ada.call("join", room)
    eventually(lambda: ada.state == "idle", "it is out", 15)
    eventually(lambda: [v["reason"] for e, v in heard if e == "left"] == ["token_expired"], "told")
    assert [v.code for e, v in heard if e == "error"] == ["token_expired"]
    assert ada.fails("join", room).code == "token_expired"


def test_a_room_that_the_token_is_not_for_is_refused(
    locked_server: LiveServer, client: NewClient, room: str
) -> None:
    ada = client("ada", url=locked_server.url, token=token("ada", room))
    ada.call("join", room)
    assert ada.call("ice_servers")["iceServers"] == []
    assert ada.fails("join", f"{room}-other").code == "not_granted"
    assert ada.state == "idle"
