"""One answer for one poll, however often the client's HTTP stack sends the request.

Browsers repeat a request by themselves when the connection that carried it turns out to be dead,
and whoever wrote the page never hears of it. Stock clients mark each request with a value of its
own (the parameter ``t``, made against caches), and so a repeated one can be told from the next:
it waits for the same answer, or gets it once more. What was taken out of the queue for a request
is thus never lost with the connection on which it was to be sent.

A request without a mark is always a new one. Two new ones at once end the session, as the protocol
has it (Engine.IO protocol 4, "HTTP long-polling"), after which the client comes back.
"""

from __future__ import annotations

import _socket
import threading
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs

_PARAMETER = "t"
# How often an answer is given again. The first of those who wait for it may have a dead connection,
# and so may the second; somebody who asks without end in the same words means something else.
_REPEATS = 3

# Held for a few assignments only, so one for all of them.
_guard = threading.Lock()


class Overlapping(Exception):
    """A request came while another one of the same session was still waiting for its answer."""


class Exchange:
    """A request and its answer, which is there when `done` is set; None where it failed."""

    __slots__ = ("answer", "done", "mark", "repeats")

    def __init__(self, mark: str | None, done: Any) -> None:
        self.mark = mark
        self.done = done
        self.answer: Any = None
        self.repeats = 0


class Exchanges:
    """The requests of one session in one direction, of which the newest is remembered.

    `make_event` makes an event of the async mode; `mark` is that of the session's first request,
    which tells nothing where others bear it too.
    """

    __slots__ = ("_last", "_make_event", "_mark")

    def __init__(self, make_event: Callable[[], Any], mark: str | None = None) -> None:
        self._make_event = make_event
        self._mark = mark
        self._last: Exchange | None = None

    def answer(self, environ: dict[str, Any], make: Callable[[], Any], seconds: float) -> Any:
        """Return the answer to a request, made by `make` unless it was asked for before.

        Waits up to `seconds` for one that is being made; returns None where that failed. Raises
        `Overlapping`, and what `make` raises.
        """
        mark = mark_of(environ)
        exchange, is_new = self._begin(None if mark == self._mark else mark)
        if not is_new:
            exchange.done.wait(seconds)
            return exchange.answer
        try:
            exchange.answer = make()
        finally:
            exchange.done.set()
        return exchange.answer

    def _begin(self, mark: str | None) -> tuple[Exchange, bool]:
        with _guard:
            last = self._last
            if last is not None:
                if mark is not None and mark == last.mark and last.repeats < _REPEATS:
                    last.repeats += 1
                    return last, False
                if not last.done.is_set():
                    raise Overlapping
            self._last = Exchange(mark, self._make_event())
            return self._last, True


def mark_of(environ: dict[str, Any]) -> str | None:
    """Return what tells a request from the next one, if its client marks them."""
    marks = parse_qs(environ.get("QUERY_STRING", "")).get(_PARAMETER)
    return marks[0] if marks else None


def is_dead(transport: Any) -> bool:
    """Tell whether a TCP connection, as far as one is given, is known to have ended."""
    if transport is None:
        return False
    # Below TLS and below eventlet, so that nothing is taken and nobody waits.
    plain = getattr(transport, "fd", transport)
    try:
        return not _socket.socket.recv(plain, 1, _socket.MSG_PEEK | _socket.MSG_DONTWAIT)
    except BlockingIOError:
        return False
    except (OSError, TypeError):
        return True
