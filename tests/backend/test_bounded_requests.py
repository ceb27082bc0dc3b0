"""Whatever a webhook's other side says, and however slowly: a request comes to an end in time."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager

import pytest

from local_cluster.ports import free_port
from presence.transport.backend import bounded_requests, sending
from presence.transport.backend.sending import Answer, Sender
from tests.backend.receivers import SECRET

OK = b"HTTP/1.1 200 OK\r\n"
NOTHING = b"Content-Length: 0\r\n\r\n"
# What has no end: how an answer begins, and what goes on coming then, always in time for a socket.
ENDLESS = {
    "nothing": (b"", b""),
    "a first line": (b"HTTP/1.1 200 ", b"O"),
    "a header": (OK, b"x"),
    "headers": (OK, b"x: y\r\n"),
    "interim answers": (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    "other interim answers": (b"", b"HTTP/1.1 103 Early Hints\r\nx: y\r\n\r\n"),
    "a chunk's length": (OK + b"Transfer-Encoding: chunked\r\n\r\n", b"0"),
    "a body": (OK + b"Content-Length: 1000000\r\n\r\n", b"x"),
}


@contextmanager
def receiver(begin: bytes, goes_on: bytes | None, *, reads: bool = True) -> Generator[Sender]:
    """Answer requests so; the first piece of each `goes_on` follows at once, if it is not None."""
    listening = socket.create_server(("127.0.0.1", 0))

    def answer(line: socket.socket) -> None:
        with line:
            try:
                if reads:
                    line.recv(65536)
                line.sendall(begin)
                while goes_on is not None:
                    time.sleep(0.05)
                    line.sendall(goes_on)
            except OSError:
                pass

    def serve() -> None:
        while True:
            try:
                line, _ = listening.accept()
            except OSError:
                return
            threading.Thread(target=answer, args=(line,), daemon=True).start()

    threading.Thread(target=serve, daemon=True).start()
    try:
        yield Sender(f"http://127.0.0.1:{listening.getsockname()[1]}/", [SECRET], 1)
    finally:
        listening.close()


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have requests wait for a second where they wait for ten."""
    monkeypatch.setattr(bounded_requests, "SECONDS", 1.0)
    monkeypatch.setattr(sending, "_ANSWER_SECONDS", 1.0)


def send(sender: Sender, seconds: float, size: int = 10) -> Answer:
    """Send something and return what comes of it, which is to be known in time."""
    answers: list[Answer] = []
    body = b'"' + b"x" * size + b'"'
    sending = threading.Thread(
        target=lambda: answers.append(sender.send_bodies("msg_1", [body])), daemon=True
    )
    sending.start()
    sending.join(seconds)
    assert answers, "it has not ended"
    return answers[0]


@pytest.mark.parametrize("what", ENDLESS)
def test_an_answer_without_an_end_is_given_up_in_time(short: None, what: str) -> None:
    begin, goes_on = ENDLESS[what]
    with receiver(begin, goes_on) as sender:
        answer = send(sender, 5)
    if b"\r\n\r\n" in begin:
        assert answer == Answer(), "the status has been said"
    else:
        assert answer.error
        assert not answer.is_away, "one room's events may be the reason"


def test_a_request_that_nobody_reads_is_given_up_in_time(short: None) -> None:
    with receiver(b"", b"", reads=False) as sender:
        assert send(sender, 5, 20_000_000).error


@pytest.mark.parametrize("status", [100, 102, 103, 199])
def test_interim_answers_are_read_over(status: int) -> None:
    interim = f"HTTP/1.1 {status} Wait\r\nLink: </x>\r\n\r\n".encode()
    with receiver(3 * interim + OK + NOTHING, None) as sender:
        assert send(sender, 5) == Answer()
    with receiver(interim + b"HTTP/1.1 500 No\r\n" + NOTHING, None) as sender:
        assert send(sender, 5).error == "it answered 500"


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"garbage\r\n\r\n",
        b"HTTP/1.1 99999 No\r\n\r\n",
        OK + b"a: b\r\n" * 500 + b"\r\n",
        OK + b"Content-Length: 1,2\r\n\r\n",
        OK + b"x: " + b"y" * 100_000,
    ],
)
def test_what_is_no_answer_counts_against_the_events_and_not_the_backend(said: bytes) -> None:
    with receiver(said, None) as sender:
        answer = send(sender, 5)
    assert "it broke off" in answer.error
    assert not answer.is_away


def test_who_is_not_there_is_away() -> None:
    assert send(Sender(f"http://127.0.0.1:{free_port()}/", [SECRET], 1), 5).is_away


def test_a_user_and_password_in_the_address_are_sent_and_not_shown() -> None:
    sender = Sender("https://us%40er:p%C3%A4ss@[::1]:4000/hook?key=1", [SECRET], 1)
    assert sender._headers("msg_1", "{}")["Authorization"] == "Basic dXNAZXI6cMOkc3M="
    assert sender.name == "https://[::1]:4000/hook"
