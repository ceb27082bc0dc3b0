"""What one client sends costs no more than in proportion to its length, wherever it comes in.

Every entrance (see `entrances`) is sent every family of bad inputs (see `bad_inputs`) in growing
sizes, while the CPU of the server's worker is measured. `PRESENCE_TEST_COSTS` is how many bytes are
sent at the most. By itself a part of the pairs of entrance and family is tried with few of them;
with 1000000 it is all of them. `PRESENCE_TEST_COSTS_OF` is a pattern of entrances to try alone. The
figures are printed (``pytest -s``).
"""

from __future__ import annotations

import heapq
import json
import os
import re
import statistics
import threading
import time
from collections.abc import Generator
from typing import NamedTuple, Self

import pytest
import requests

from app import create_app
from local_cluster.live_server import LiveServer
from presence import errors
from presence.config import Settings
from presence.transport.admission.error_handlers import STATUS
from tests.abuse.cpu_meter import CpuMeter
from tests.abuse.entrances import ACK, MOST, MOST_OF_A_LINE, Entrance
from tests.abuse.form_entrances import of_forms, of_polling
from tests.abuse.http_entrances import HttpEntrances
from tests.abuse.socket_entrances import of_sockets
from tests.support.keys import LOCKED, bearer, token
from tests.support.streams import TEXT, Stream, WebSocketStream, frame

LARGEST = int(os.environ.get("PRESENCE_TEST_COSTS", "16384"))
ONLY = re.compile(os.environ.get("PRESENCE_TEST_COSTS_OF", ""))
IS_CAMPAIGN = LARGEST >= MOST
# Of the families, every so manieth is tried at each entrance, each time others: there are hundreds
# of headers, paths and queries, which may be short only.
EVERY_OF_A_LINE, EVERY = (1, 1) if IS_CAMPAIGN or ONLY.pattern else (400, 32)
# Of these some have found something; they are tried at every field.
ALWAYS = {"text: combining", "a long key over many values"}
SIZES = [size for size in (1000, 4000, 16_000, 64_000, 256_000, MOST) if size <= LARGEST]

# The promise, in milliseconds of CPU: no message costs more, and from a cost that can be told from
# noise it grows in proportion to the size, with some tolerance.
MOST_MS = 50.0
NOISE_MS = 2.0
GROWTH_PER_DOUBLING = 2.4
# What others wait for an answer at the most, all but the slowest percent, in milliseconds.
BYSTANDER_MS = 100.0

_FAULTS = {condition.code for condition, status in STATUS.items() if status >= 500} - {
    errors.PeerUnreachable.code
}


TOKEN = token("root", "*", "admin", ttl=6 * 3600)
# So many messages are measured together, each on a connection of its own.
TOGETHER = 16
# And of so many empty ones it is taken what a message costs at any rate.
EMPTY = TOGETHER if IS_CAMPAIGN else 4
# A last message, whose answer says that those before it are dealt with.
END = frame(TEXT, b'42["end",{}]')


class Case(NamedTuple):
    """One input at one entrance."""

    entrance: Entrance
    family: str
    size: int

    def __str__(self) -> str:
        return f"{self.entrance.name} ← {self.family}, {self.size} bytes"

    @property
    def data(self) -> bytes:
        """What is sent."""
        return self.entrance.pack(self.entrance.families[self.family](self.size))


class Sender:
    """Connections that send what entrances pack, and tell what is wrong with the answers."""

    def __init__(self, server: LiveServer) -> None:
        self._server = server
        self._sockets: list[WebSocketStream | None] = [None] * TOGETHER

    def connect(self, entrance: Entrance, count: int) -> list[Stream]:
        """Return connections on which an entrance can be sent something."""
        if entrance.way == "http":
            return [Stream(self._server, timeout=20) for _ in range(count)]
        if entrance.way == "polling":
            return [polling(self._server) for _ in range(count)]
        found: list[Stream] = []
        for number in range(count):
            # A room for each, or all would be told of what one does.
            socket = self._sockets[number] or joined(self._server, f"costs-{number}", "sender")
            self._sockets[number] = socket
            found.append(socket)
        return found

    def wrong_with(self, entrance: Entrance, stream: Stream) -> str:
        """Wait until what was sent is dealt with; return what is wrong, or an empty string."""
        try:
            if isinstance(stream, WebSocketStream):
                return self._after_message(entrance, stream)
            status, _ = stream.answer()
            return f"status {status}" if status >= 500 else ""
        except (TimeoutError, AssertionError) as error:
            self._forget(stream)
            return f"silence: {error}"
        finally:
            if not isinstance(stream, WebSocketStream):
                stream.close()

    def _after_message(self, entrance: Entrance, stream: WebSocketStream) -> str:
        acknowledged, wrong, answer = False, "", ""
        while not answer.startswith('42["end_error"'):
            answer = stream.wait_for("4")
            if not answer:
                self._forget(stream)
                return wrong
            acknowledged |= answer.startswith(f"43{ACK}[")
            code = re.search(r'"code":"(\w+)"', answer[:4000])
            if code and code[1] in _FAULTS:
                wrong = answer[:300]
        return "no acknowledgement" if entrance.answered and not acknowledged else wrong

    def _forget(self, stream: Stream) -> None:
        stream.close()
        self._sockets = [None if other is stream else other for other in self._sockets]


def joined(server: LiveServer, room: str, peer_id: str) -> WebSocketStream:
    """Connect with a token for everything, and join a room."""
    stream = WebSocketStream(server, admitted=False)
    stream.text("40" + json.dumps({"token": TOKEN}))
    assert stream.wait_for("40")
    stream.emit("join_room", {"room_name": room, "peer_id": peer_id, "username": "C"})
    assert stream.event("join_room_success")
    return stream


class PollingStream(Stream):
    """A connection that posts what it sends to an Engine.IO session."""

    session = ""

    def send(self, data: bytes | str) -> Self:
        """Post the data."""
        assert isinstance(data, bytes)
        head = f"POST {POLLING}&sid={self.session} HTTP/1.1\r\nHost: 127.0.0.1\r\n"
        return super().send(f"{head}Content-Length: {len(data)}\r\n\r\n".encode() + data)


POLLING = "/socket.io/?EIO=4&transport=polling"


def polling(server: LiveServer) -> Stream:
    """Open a session and return a connection that posts to it."""
    greeting = requests.get(server.url + POLLING, timeout=20).text
    stream = PollingStream(server, timeout=20)
    stream.session = json.loads(greeting[1:])["sid"]
    url = f"{server.url}{POLLING}&sid={stream.session}"
    connected = requests.post(url, "40" + json.dumps({"token": TOKEN}), timeout=20)
    assert connected.ok, connected.text
    return stream


class Campaign:
    """Measures what inputs cost, and gathers what is beyond the promise."""

    def __init__(self, server: LiveServer) -> None:
        self._meter = CpuMeter(server)
        self._sender = Sender(server)
        self.faults: list[str] = []
        self.costs: list[tuple[float, str]] = []
        self.messages = 0
        self._empty: dict[str, float] = {}

    def try_all(self, cases: list[Case]) -> None:
        """Send inputs of one entrance together; apart, if together they cost too much for one."""
        if not cases:
            return
        cost, wrong = self._measured(cases)
        if len(cases) == 1:
            self._judge(cases[0], cost, wrong[0])
        elif cost > GROWTH_PER_DOUBLING * NOISE_MS or any(wrong):
            half = len(cases) // 2
            self.try_all(cases[:half])
            self.try_all(cases[half:])

    def _judge(self, case: Case, cost: float, wrong: str) -> None:
        """Note what is wrong with one input, having sent it again where that matters."""
        if wrong:
            self.faults.append(f"{case}: {wrong}")
        if cost > GROWTH_PER_DOUBLING * NOISE_MS:
            cost = min(cost, self._least(case))
        self.costs.append((cost, str(case)))
        if cost > MOST_MS and not case.entrance.takes_turns:
            self.faults.append(f"{case}: {cost:.1f} ms")
        if cost <= GROWTH_PER_DOUBLING * NOISE_MS:
            return
        half = max(NOISE_MS, self._least(case._replace(size=case.size // 2)))
        if cost > GROWTH_PER_DOUBLING * half + NOISE_MS:
            # Something else may have been at work: once more, with more patience.
            cost = min(cost, self._least(case, 8))
        if cost > GROWTH_PER_DOUBLING * half + NOISE_MS:
            self.faults.append(f"{case}: {cost:.1f} ms, and {half:.1f} ms for half as much")

    def _least(self, case: Case, times: int = 3) -> float:
        return min(self._measured([case])[0] for _ in range(times))

    def _measured(self, cases: list[Case]) -> tuple[float, list[str]]:
        """Return what inputs cost together more than as many empty ones, and what is wrong."""
        entrance = cases[0].entrance
        if entrance.name not in self._empty:
            self._empty[entrance.name] = 0.0
            empty = [Case(entrance, next(iter(entrance.families)), 1)] * EMPTY
            self._empty[entrance.name] = self._measured(empty)[0] / EMPTY
        streams = self._sender.connect(entrance, len(cases))
        sent = [case.data for case in cases]
        if entrance.way == "socket":
            sent = [data + END for data in sent]
        wrong: list[str] = []

        def send() -> None:
            for stream, data in zip(streams, sent, strict=True):
                stream.send(data)
                if entrance.way == "http":
                    stream.shut_down()  # an early end for what waits for more
            wrong.extend(self._sender.wrong_with(entrance, stream) for stream in streams)

        self.messages += len(cases)
        cost = self._meter.of(send) / SLOWNESS
        return cost - len(cases) * self._empty[entrance.name], wrong


def slowness() -> float:
    """Return how many times slower this machine is than a quiet one of 2024, at least 1."""
    least = float("inf")
    for _ in range(5):
        began = time.process_time()
        sum(number % 7 for number in range(200_000))
        least = min(least, time.process_time() - began)
    return max(1.0, least / 0.012)


SLOWNESS = slowness()


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Generator[LiveServer]:
    """A server that has everything switched on that reads what a client sends."""
    live = LiveServer(
        tmp_path_factory.mktemp("costs"),
        **LOCKED
        | {
            "PRESENCE_TRUSTED_PROXIES": 1,
            "PRESENCE_WEBSOCKET_COMPRESSION": 1,
            "PRESENCE_EVENTS_PER_SECOND": 0,
            "PRESENCE_MAX_ROOMS": 0,
            "PRESENCE_METRICS_TOKEN": "",
        },
    ).start()
    yield live
    live.kill()


@pytest.fixture(scope="module")
def entrances(tmp_path_factory: pytest.TempPathFactory) -> list[Entrance]:
    """Every entrance, or those that were asked for."""
    folder = tmp_path_factory.mktemp("described")
    app = create_app(
        Settings(database_url=f"sqlite:///{folder}/x.db", upload_dir=str(folder / "uploads"))
    )
    http = HttpEntrances(app, bearer(TOKEN)["Authorization"])
    made = [*of_sockets(app), *http.all(), *of_forms(http), *of_polling()]
    return [entrance for entrance in made if ONLY.search(entrance.name)]


def cases_of(entrance: Entrance, number: int) -> list[Case]:
    """Return what is sent to an entrance: the families whose turn it is, in growing sizes."""
    every = EVERY if entrance.most > MOST_OF_A_LINE else EVERY_OF_A_LINE
    return [
        Case(entrance, family, size)
        for size in SIZES
        if size <= 4 * entrance.most
        for turn, family in enumerate(entrance.families)
        if (number + turn) % every == 0 or family in ALWAYS
    ]


@pytest.mark.timeout(7200)
def test_no_input_costs_more_than_in_proportion_to_its_length(
    target: LiveServer, entrances: list[Entrance]
) -> None:
    campaign = Campaign(target)
    for number, entrance in enumerate(entrances):
        cases = cases_of(entrance, number)
        known = len(campaign.faults)
        for first in range(0, len(cases), TOGETHER):
            campaign.try_all(cases[first : first + TOGETHER])
        if IS_CAMPAIGN:
            print(*campaign.faults[known:], sep="\n", end="")
            so_far = f"{number + 1} of {len(entrances)}: {campaign.messages} messages"
            print(f"{so_far}, {len(campaign.faults)} faults; {entrance.name}", flush=True)
    print(
        f"\n{campaign.messages} messages at {len(entrances)} entrances, "
        f"on a machine {SLOWNESS:.1f} times slower than a quiet one; the dearest:"
    )
    for cost, what in heapq.nlargest(25, campaign.costs):
        print(f"  {cost:6.1f} ms  {what}")
    assert not campaign.faults, "\n".join(campaign.faults)
    assert "Traceback" not in target.log_text()


@pytest.mark.alone
def test_a_bystander_hardly_feels_the_dearest_inputs(
    target: LiveServer, entrances: list[Entrance]
) -> None:
    sender, bystander = Sender(target), joined(target, "bystanders", "bystander")
    taken: list[float] = []
    is_over = threading.Event()

    def ask() -> None:
        while not is_over.wait(0.01):
            began = time.monotonic()
            bystander.text('421["sync",{"since":0}]')
            bystander.wait_for("431")
            taken.append(1000 * (time.monotonic() - began))

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        for number, entrance in enumerate(entrances):
            # The largest of what a line may be is refused; it is bodies and messages that cost.
            if entrance.most > MOST_OF_A_LINE:
                for case in cases_of(entrance, number)[-2:]:
                    data = case.data
                    stream = sender.connect(entrance, 1)[0]
                    if entrance.way == "socket":
                        data += END
                    stream.send(data)
                    assert not sender.wrong_with(entrance, stream), case
    finally:
        is_over.set()
        asking.join()
    slowest = statistics.quantiles(taken, n=100)[98]
    print(f"\n{len(taken)} answers beside the dearest inputs: p99 {slowest:.1f} ms")
    assert slowest < BYSTANDER_MS
