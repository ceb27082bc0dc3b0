"""Workloads of uploads: how much they cost, and what they do to signals meanwhile."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from functools import partial

from benchmarks.clients import HttpClient, SocketClient, connect, join_all
from benchmarks.frames import event_frame
from benchmarks.load import ConnectionLost
from benchmarks.measuring import Figures, Run, percentile
from benchmarks.relay_workload import signal_body

_AT_ONCE = 4
_BOUNDARY = "benchmark-boundary"
_PAIRS = 10
_SIGNALS_PER_SECOND = 200
_IN_FLIGHT = 100
_IDLE_PARTS = 4


def uploads(run: Run) -> Figures:
    """Upload documents for a peer, some at a time."""
    _join_uploader(run)
    body = _form(run.sizes.upload_bytes)
    _upload(run, body, 1)
    with run.measuring() as measured:
        _upload(run, body, run.sizes.uploads)
    megabytes = run.sizes.uploads * run.sizes.upload_bytes / 1e6
    return {
        **measured.figures(),
        "mb_per_s": megabytes / measured.wall,
        "cpu_ms_per_mb": measured.cpu / megabytes * 1000,
        "rss_mb": run.server.memory() / 1024**2,
    }


def signals_beside_uploads(run: Run) -> Figures:
    """Send signals evenly, first with nothing else to do, then during uploads."""
    clients = connect(run.load, _PAIRS * 2, whole=True)
    join_all(run.load, clients, "calls")
    _join_uploader(run)
    body = _form(run.sizes.upload_bytes)
    _upload(run, body, 1)
    run.load.settle()
    signals = _Signals(run, clients)
    part = run.sizes.idle_signal_seconds / _IDLE_PARTS
    # Of several stretches the calmest, lest the uploads look good beside something else's noise.
    idle = min(
        percentile(signals.send_evenly(lambda elapsed: elapsed < part), 0.95)
        for _ in range(_IDLE_PARTS)
    )
    with run.measuring() as measured:
        uploading = _begin(run, body, run.sizes.uploads_beside_signals)
        beside = signals.send_evenly(lambda _elapsed: any(c.status == 0 for c in uploading))
        measured.stop()
        run.load.settle()
    _check(uploading)
    busy = percentile(beside, 0.95)
    return {
        **measured.figures(),
        "idle_p95_ms": idle * 1000,
        "upload_p95_ms": busy * 1000,
        "times_idle": busy / idle if idle else 0.0,
        "signals": float(len(beside)),
    }


class _Signals:
    """Signals between pairs, and the time each took to its receiver."""

    def __init__(self, run: Run, clients: list[SocketClient]) -> None:
        self._run = run
        self._pairs = list(zip(clients[::2], clients[1::2], strict=True))
        self._durations: list[float] = []
        self._sent: dict[bytes, float] = {}
        self._number = 0
        for _sender, receiver in self._pairs:
            receiver.on_message = self._arrived

    def send_evenly(self, go_on: Callable[[float], bool]) -> list[float]:
        """Send signals at an even rate while a condition on the seconds so far holds."""
        self._durations = []
        started = time.perf_counter()
        count = 0
        while go_on(time.perf_counter() - started):
            due = started + count / _SIGNALS_PER_SECOND
            self._run.load.run(max(0.0, due - time.perf_counter()))
            count += 1
            if len(self._sent) < _IN_FLIGHT:
                self._send()
        self._run.load.await_(lambda: not self._sent, "every signal arrives")
        return self._durations

    def _send(self) -> None:
        self._number += 1
        sender, receiver = self._pairs[self._number % len(self._pairs)]
        key = b"number-%d." % self._number
        body = signal_body(receiver.peer_id)
        body["data"]["key"] = key.decode()
        frame = event_frame("signal", body)
        self._sent[key] = time.perf_counter()
        sender.send(frame)

    def _arrived(self, _client: SocketClient, message: bytes, now: float) -> None:
        at = message.find(b"number-")
        if at >= 0 and message.startswith(b'42["signal"'):
            key = message[at : message.index(b".", at) + 1]
            self._durations.append(now - self._sent.pop(key))


def _join_uploader(run: Run) -> None:
    (client,) = connect(run.load, 1)
    client.join("files", "uploader")
    run.load.await_(lambda: client.joined_at > 0, "join_room_success")
    run.load.settle()


def _form(size: int) -> bytes:
    """Return an upload form with a PDF of a size."""
    fields = "".join(
        f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in {"room_name": "files", "peer_id": "uploader"}.items()
    )
    head = (
        f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="report.pdf"\r\n'
        "Content-Type: application/pdf\r\n\r\n"
    )
    content = _pdf(size)
    return (fields + head).encode() + content + f"\r\n--{_BOUNDARY}--\r\n".encode()


def _pdf(size: int) -> bytes:
    """Return a PDF of about so many bytes, most of them random, as those of a real document."""
    filling = os.urandom(max(size - 600, 1))
    parts = [
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 9 9]>>",
        b"<</Length %d>>stream\n%b\nendstream" % (len(filling), filling),
    ]
    made, places = b"%PDF-1.7\n", []
    for number, part in enumerate(parts, 1):
        places.append(len(made))
        made += b"%d 0 obj\n%b\nendobj\n" % (number, part)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    count = len(parts) + 1
    return made + (
        b"xref\n0 %d\n0000000000 65535 f \n%btrailer\n<</Size %d/Root 1 0 R>>\n"
        b"startxref\n%d\n%%%%EOF\n" % (count, table, count, len(made))
    )


def _begin(run: Run, body: bytes, count: int) -> list[HttpClient]:
    started = []
    for _ in range(count):
        client = HttpClient(run.load)
        kind = {"Content-Type": f"multipart/form-data; boundary={_BOUNDARY}"}
        client.request("POST", "/api/webrtc/upload", body, kind)
        started.append(client)
    return started


def _upload(run: Run, body: bytes, count: int) -> None:
    """Upload a form a number of times, a few at one time."""
    left = count
    under_way: list[HttpClient] = []
    while left or under_way:
        new = min(_AT_ONCE - len(under_way), left)
        under_way += _begin(run, body, new)
        left -= new
        run.load.await_(partial(_any_answered, under_way), "an upload is answered")
        done = [client for client in under_way if client.status]
        run.load.settle(quiet=0.0)
        _check(done)
        for client in done:
            client.close()
        under_way = [client for client in under_way if client not in done]


def _any_answered(clients: list[HttpClient]) -> bool:
    return any(client.status for client in clients)


def _check(clients: list[HttpClient]) -> None:
    for client in clients:
        if client.status not in {200, 201}:
            raise ConnectionLost(f"an upload was refused: {bytes(client.body[:300])!r}")
