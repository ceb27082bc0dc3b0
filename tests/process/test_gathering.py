"""Those who want something at the same time are done together, and each gets what is for it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from local_cluster.waiting import eventually
from presence.transport.events import gathering
from presence.transport.events.gathering import Gathering

IN_TIME = 10.0


class Ended(BaseException):
    """What a greenlet is made to end with."""


class Doing:
    """Doubles numbers, a hundred at a time, as soon as it is allowed to."""

    def __init__(self, most: int = 100) -> None:
        self.gathering = Gathering[int, int](self.do, most)
        self.turns: list[list[int]] = []
        self.allowed = threading.Semaphore(0)
        self.failing: Exception | None = None

    def do(self, numbers: list[int]) -> list[int]:
        self.turns.append(numbers)
        assert self.allowed.acquire(timeout=IN_TIME)
        if self.failing is not None:
            raise self.failing
        return [2 * number for number in numbers]

    def waiting(self) -> int:
        return len(self.gathering._waiting)


@contextmanager
def many() -> Generator[Callable[..., Future[int]]]:
    with ThreadPoolExecutor(50) as pool:
        yield pool.submit


def test_who_comes_alone_is_done_alone_and_at_once() -> None:
    doing = Doing()
    for number in range(3):
        doing.allowed.release()
        assert doing.gathering.add(number) == 2 * number
    assert doing.turns == [[0], [1], [2]]


def test_who_comes_meanwhile_is_done_with_the_others_and_gets_its_own_result() -> None:
    doing = Doing()
    with many() as start:
        first = start(doing.gathering.add, 0)
        eventually(lambda: doing.turns, "the first is being done")
        others = [start(doing.gathering.add, number) for number in range(1, 21)]
        eventually(lambda: doing.waiting() == 20, "the others wait")
        doing.allowed.release(2)
        assert first.result(IN_TIME) == 0
        assert [other.result(IN_TIME) for other in others] == [2 * n for n in range(1, 21)]
    assert [len(turn) for turn in doing.turns] == [1, 20]


def test_so_many_are_done_together_and_no_more() -> None:
    doing = Doing(most=8)
    with many() as start:
        first = start(doing.gathering.add, 0)
        eventually(lambda: doing.turns, "the first is being done")
        others = [start(doing.gathering.add, number) for number in range(1, 21)]
        eventually(lambda: doing.waiting() == 20, "the others wait")
        doing.allowed.release(9)
        assert {one.result(IN_TIME) for one in [first, *others]} == {2 * n for n in range(21)}
    assert [len(turn) for turn in doing.turns] == [1, 8, 8, 4]


def test_what_fails_fails_for_those_who_were_in_it_and_for_nobody_after() -> None:
    doing = Doing()
    with many() as start:
        first = start(doing.gathering.add, 0)
        eventually(lambda: doing.turns, "the first is being done")
        others = [start(doing.gathering.add, number) for number in range(1, 6)]
        eventually(lambda: doing.waiting() == 5, "the others wait")
        doing.allowed.release()
        assert first.result(IN_TIME) == 0
        eventually(lambda: len(doing.turns) == 2, "the others are being done")
        doing.failing = OSError("it is away")
        doing.allowed.release()
        for other in others:
            with pytest.raises(OSError, match="it is away"):
                other.result(IN_TIME)
    doing.failing = None
    doing.allowed.release()
    assert doing.gathering.add(7) == 14


def test_those_who_come_while_one_pauses_go_along() -> None:
    doing, came = Doing(), threading.Event()

    def pause() -> None:
        assert came.wait(IN_TIME)

    doing.gathering = Gathering[int, int](doing.do, 100, pause)
    doing.allowed.release(1)
    with many() as start:
        both = [start(doing.gathering.add, number) for number in range(2)]
        eventually(lambda: doing.waiting() == 1, "one waits for the other")
        came.set()
        assert sorted(one.result(IN_TIME) for one in both) == [0, 2]
    assert [len(turn) for turn in doing.turns] == [2]


def test_who_is_made_to_end_while_it_pauses_passes_its_turn_on() -> None:
    doing, ends = Doing(), [True]

    def pause() -> None:
        if ends.pop() if ends else False:
            raise Ended

    doing.gathering = Gathering[int, int](doing.do, 100, pause)
    with pytest.raises(Ended):
        doing.gathering.add(0)
    doing.allowed.release()
    assert doing.gathering.add(1) == 2


def test_who_is_made_to_end_while_it_waits_leaves_no_gap() -> None:
    doing = Doing()

    def ended(self: object) -> None:
        raise Ended

    with many() as start:
        first = start(doing.gathering.add, 0)
        eventually(lambda: doing.turns, "the first is being done")
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(gathering._Waiting, "wait", ended)
            with pytest.raises(Ended):
                doing.gathering.add(1)
        assert doing.waiting() == 0
        second = start(doing.gathering.add, 2)
        eventually(lambda: doing.waiting() == 1, "the second waits")
        doing.allowed.release(2)
        assert first.result(IN_TIME) == 0
        assert second.result(IN_TIME) == 4
    assert doing.turns == [[0], [2]]


def test_who_is_made_to_end_with_the_turn_in_hand_passes_it_on() -> None:
    doing = Doing()

    with many() as start:
        first = start(doing.gathering.add, 0)
        eventually(lambda: doing.turns, "the first is being done")
        wait = gathering._Waiting.wait

        def ends_when_woken(self: gathering._Waiting[int, int]) -> None:
            wait(self)
            if self.wish == 1:
                raise Ended

        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(gathering._Waiting, "wait", ends_when_woken)
            ending = start(doing.gathering.add, 1)
            eventually(lambda: doing.waiting() == 1, "one waits")
            following = start(doing.gathering.add, 2)
            eventually(lambda: doing.waiting() == 2, "another waits behind it")
            doing.allowed.release(2)
            assert first.result(IN_TIME) == 0
            assert following.result(IN_TIME) == 4
            with pytest.raises(Ended):
                ending.result(IN_TIME)
    assert doing.turns == [[0], [2]]
