"""Doing at once what several want at the same time, where one turn costs as much as one for all.

Who comes first takes a turn at once, but for a pause in which those get as far whose messages are
there already. Those who come meanwhile wait for its end, and the first of them takes the others
along in the next.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Generic, TypeVar

Wish = TypeVar("Wish")
Result = TypeVar("Result")


class _Waiting(Generic[Wish, Result]):
    """A wish of somebody who waits, by a bare lock, for what comes of it, or for a turn to take."""

    __slots__ = ("_turn", "error", "results", "takes_turn", "wish")

    def __init__(self, wish: Wish) -> None:
        self.wish = wish
        self.results: list[Result] = []
        self.error: Exception | None = None
        self.takes_turn = False
        self._turn = threading.Lock()
        self._turn.acquire()

    def wait(self) -> None:
        self._turn.acquire()

    def wake(self) -> None:
        self._turn.release()


class Gathering(Generic[Wish, Result]):
    """Hands wishes to `do`, several at once, and each result to whom it is for.

    `do` gets at most `most` wishes and returns a result for each. What it raises is raised to
    everybody whose wish was among them. `pause` lets others go on.
    """

    def __init__(
        self,
        do: Callable[[list[Wish]], list[Result]],
        most: int,
        pause: Callable[[], object] = lambda: None,
    ) -> None:
        self._do = do
        self._most = most
        self._pause = pause
        self._guard = threading.Lock()
        self._is_busy = False
        self._waiting: deque[_Waiting[Wish, Result]] = deque()

    def add(self, wish: Wish) -> Result:
        """Return what came of a wish."""
        with self._guard:
            if self._is_busy:
                own = _Waiting[Wish, Result](wish)
                self._waiting.append(own)
            else:
                own = None
                self._is_busy = True
        if own is None:
            return self._take_turn(wish)
        try:
            own.wait()
        except BaseException:
            self._give_up(own)
            raise
        if own.takes_turn:
            return self._take_turn(wish)
        if own.error is not None:
            raise own.error
        return own.results[0]

    def _take_turn(self, wish: Wish) -> Result:
        others: list[_Waiting[Wish, Result]] = []
        try:
            self._pause()
            with self._guard:
                while self._waiting and len(others) < self._most - 1:
                    others.append(self._waiting.popleft())
            results = self._do([wish, *(other.wish for other in others)])
        except BaseException as error:
            # Who is made to end while it acts for others ends alone.
            told = error if isinstance(error, Exception) else RuntimeError("it was made to end")
            for other in others:
                other.error = told
            raise
        else:
            for other, result in zip(others, results[1:], strict=True):
                other.results.append(result)
            return results[0]
        finally:
            self._end_turn()
            for other in others:
                other.wake()

    def _end_turn(self) -> None:
        """Let the next who waits take a turn, if anybody does."""
        with self._guard:
            if not self._waiting:
                self._is_busy = False
                return
            following = self._waiting.popleft()
            following.takes_turn = True
        following.wake()

    def _give_up(self, own: _Waiting[Wish, Result]) -> None:
        """Go without a result, because whoever waited is made to end."""
        with self._guard, suppress(ValueError):
            self._waiting.remove(own)
            return
        if own.takes_turn:
            self._end_turn()
