"""Both kinds of client behind the same few verbs, so that a test is written once for both."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import threading
import time
from collections.abc import Callable, Coroutine, Generator
from concurrent.futures import Future
from typing import Any
from unittest import mock

from presence_client import AsyncClient, Client, PresenceError, loop_thread

KINDS = ("blocking", "asyncio")
EVENTS = (
    *("state", "disconnected", "joined", "left", "error"),
    *("peers", "peer_joined", "peer_updated", "peer_left"),
    *("signal", "broadcast", "room_changed", "rooms_changed"),
)


class Driven:
    """A client that a test drives: `call` waits for a call to end, `start` does not.

    What is started reaches the client in the order in which it is started.
    """

    client: Any

    def start(self, name: str, /, *args: Any, **options: Any) -> Future[Any]:
        """Begin a call."""
        raise NotImplementedError

    def call(self, name: str, /, *args: Any, **options: Any) -> Any:
        """Make a call, and return or raise what comes of it."""
        return self.start(name, *args, **options).result(60)

    def fails(self, name: str, /, *args: Any, **options: Any) -> PresenceError:
        """Make a call that raises, and return its error."""
        return failure(self.start(name, *args, **options))

    def listen(self) -> list[tuple[str, Any]]:
        """Return a list that grows with what the client tells."""
        heard: list[tuple[str, Any]] = []
        for event in EVENTS:
            self.client.on(event, lambda value, event=event: heard.append((event, value)))
        return heard

    def loop(self) -> asyncio.AbstractEventLoop:
        """Return the loop in which the client works."""
        raise NotImplementedError

    @contextlib.contextmanager
    def one_turn(self) -> Generator[None]:
        """Let the client's loop begin with what is started within only when all of it is."""
        is_over = threading.Event()
        self.loop().call_soon_threadsafe(is_over.wait, 60)
        try:
            yield
        finally:
            is_over.set()

    @property
    def state(self) -> str:
        """The client's state."""
        return str(self.client.state)

    @property
    def active(self) -> list[str]:
        """Who is here, by peer_id, as the client has it."""
        return [peer["peer_id"] for peer in self.client.active_peers]


class Blocking(Driven):
    """`Client`, each call in a thread of its own."""

    def __init__(self, url: str, **options: Any) -> None:
        self.client = Client(url, **options)

    def start(self, name: str, /, *args: Any, **options: Any) -> Future[Any]:
        """Begin a call; returns once it was handed to the client's loop, or has ended."""
        given: Future[Any] = Future()
        handed = threading.Event()

        def work() -> None:
            _Handing.over.event = handed
            try:
                given.set_result(getattr(self.client, name)(*args, **options))
            except BaseException as error:
                given.set_exception(error)
            handed.set()

        with _handing():
            threading.Thread(target=work, daemon=True).start()
            # Waiting for a condition is done by the thread itself.
            handed.wait(0 if name == "wait_for" else 10)
        return given

    def loop(self) -> asyncio.AbstractEventLoop:
        """Return the loop of this client's own thread."""
        loop: asyncio.AbstractEventLoop = self.client._thread._started()
        return loop


class _Handing:
    """Which event is set when this thread has handed something to a loop."""

    over = threading.local()


@contextlib.contextmanager
def _handing() -> Generator[None]:
    """Have `LoopThread` say when it hands a call over."""

    def hand_over(work: Any, loop: Any) -> Future[Any]:
        future = asyncio.run_coroutine_threadsafe(work, loop)
        if (event := getattr(_Handing.over, "event", None)) is not None:
            event.set()
        return future

    with mock.patch.object(loop_thread, "hand_over", hand_over):
        yield


class Asyncio(Driven):
    """`AsyncClient`, in a loop that all of them share."""

    def __init__(self, url: str, **options: Any) -> None:
        self.client = AsyncClient(url, **options)

    def start(self, name: str, /, *args: Any, **options: Any) -> Future[Any]:
        """Begin a call."""
        return in_loop(getattr(self.client, name)(*args, **options))

    def loop(self) -> asyncio.AbstractEventLoop:
        """Return the loop that it shares with the others."""
        return loop_of_clients()


@functools.cache
def loop_of_clients() -> asyncio.AbstractEventLoop:
    """Return the loop of the asyncio clients, which runs in a thread of its own."""
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, daemon=True).start()
    return loop


def in_loop(work: Coroutine[Any, Any, Any]) -> Future[Any]:
    """Do something in the loop of the asyncio clients."""
    return asyncio.run_coroutine_threadsafe(work, loop_of_clients())


def make(kind: str, url: str, **options: Any) -> Driven:
    """Make a client of a kind."""
    return {"blocking": Blocking, "asyncio": Asyncio}[kind](url, **options)


def failure(call: Future[Any]) -> PresenceError:
    """Wait until a call raises, and return its error."""
    error = call.exception(60)
    assert isinstance(error, PresenceError), (error, call.done() and call.result())
    return error


def timed(work: Callable[[], Any]) -> float:
    """Return how many seconds something takes."""
    begun = time.monotonic()
    work()
    return time.monotonic() - begun
