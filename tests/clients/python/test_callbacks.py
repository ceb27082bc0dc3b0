"""What a client tells: who is called, in which order, and which functions are taken."""

from __future__ import annotations

import functools
import inspect
from typing import Any

import pytest
from presence_client import AsyncClient, Client, PresenceError

from .conftest import NewClient
from .support import eventually


async def of_async(_value: Any = None) -> str:
    return "never awaited"


class Callable:
    async def __call__(self, _value: Any = None) -> None:
        """Be awaited by nobody."""


def test_both_clients_have_the_same_names_and_parameters() -> None:
    for name in {name for name in dir(Client) + dir(AsyncClient) if not name.startswith("_")}:
        ours, other = (inspect.getattr_static(kind, name, None) for kind in (Client, AsyncClient))
        if name == "forked":
            continue  # of the asyncio client, on which the blocking one stands
        assert ours is not None, name
        if name in ("url", "timeout"):
            continue  # attributes of the asyncio client
        assert other is not None, name
        if inspect.isfunction(ours):
            assert list(inspect.signature(ours).parameters.values()) == [
                parameter.replace(annotation=mine.annotation)
                for parameter, mine in zip(
                    inspect.signature(other).parameters.values(),
                    inspect.signature(ours).parameters.values(),
                    strict=True,
                )
            ], name


def test_the_blocking_client_refuses_functions_that_it_cannot_await(room: str) -> None:
    client = Client()
    for function in (of_async, functools.partial(of_async), Callable()):
        with pytest.raises(PresenceError) as raised:
            client.on("signal", function)
        assert raised.value.code == "async_callback"
        assert "AsyncClient" in raised.value.detail
    for options in ({"token": of_async},):
        with pytest.raises(PresenceError, match="token function"):
            Client(**options)  # type: ignore[arg-type]
    with pytest.raises(PresenceError, match="change"):
        client.update(of_async)  # type: ignore[arg-type]
    with pytest.raises(PresenceError, match="progress function"):
        client.upload(b"", on_progress=of_async)  # type: ignore[arg-type]
    client.close()


def test_an_event_that_does_not_exist_is_refused(client: NewClient) -> None:
    with pytest.raises(PresenceError, match="There is no event “peer_joind”"):
        client().client.on("peer_joind", print)


def test_an_address_that_is_none_is_refused(kind: str) -> None:
    made = {"blocking": Client, "asyncio": AsyncClient}[kind]
    for url in ("127.0.0.1:9", "ftp://x", "https://", "http://a b", ""):
        with pytest.raises(PresenceError) as raised:
            made(url)
        assert raised.value.code == "invalid_address", url


def test_signals_that_come_in_a_burst_keep_their_order(client: NewClient, room: str) -> None:
    robot, alice = client("robot"), client("alice")
    heard: list[int] = []
    robot.client.on("signal", lambda signal: heard.append(signal["data"]))
    robot.call("join", room)
    alice.call("join", room)
    calls = [alice.start("signal", "robot", number) for number in range(300)]
    for call in calls:
        assert call.result(20)["status"] == "delivered"
    eventually(lambda: len(heard) == 300, "every signal comes")
    assert heard == list(range(300))


def test_callbacks_may_call_the_client(client: NewClient, kind: str, room: str) -> None:
    ada, bob = client("ada"), client("bob")
    ada.call("join", room)
    bob.call("join", room)
    heard: list[int] = []
    if kind == "asyncio":

        async def echo(signal: Any) -> None:
            await bob.client.signal("ada", signal["data"])

        bob.client.on("signal", echo)
    else:
        bob.client.on("signal", lambda signal: bob.client.signal("ada", signal["data"]))
    ada.client.on("signal", lambda signal: heard.append(signal["data"]))
    for number in range(100):
        ada.call("signal", "bob", number)
    eventually(lambda: len(heard) == 100, "every echo comes")
    assert heard == list(range(100))


def test_a_client_may_be_closed_by_its_own_callback(
    client: NewClient, kind: str, room: str
) -> None:
    ada = client("ada")
    ada.client.on("joined", lambda _: ada.client.close())
    ada.call("join", room)
    eventually(lambda: ada.state == "closed", "it is closed")
    assert ada.fails("signal", "ada", 1).code == "closed"


def test_a_callback_that_fails_does_not_stop_the_others(client: NewClient, room: str) -> None:
    ada, bob = client("ada"), client("bob")
    heard: list[Any] = []
    ada.client.on("broadcast", lambda _: 1 / 0)
    ada.client.on("broadcast", heard.append)

    @ada.client.on("broadcast")
    def no_more(_body: Any) -> None:
        ada.client.off("broadcast", heard.append)

    ada.call("join", room)
    bob.call("join", room)
    for number in range(2):
        bob.call("broadcast", "x", number)
    eventually(lambda: heard, "the second callback is called")
    assert [body["data"] for body in heard] == [0]


def test_a_condition_is_waited_for(client: NewClient, room: str) -> None:
    ada, bob = client("ada"), client("bob")
    ada.call("join", room)
    waiting = ada.start("wait_for", lambda c: [p for p in c.active_peers if p["peer_id"] == "bob"])
    bob.call("join", room)
    assert waiting.result(10)[0]["username"] == "bob"
    assert isinstance(
        ada.start("wait_for", lambda c: False, timeout=0.05).exception(10), TimeoutError
    )
