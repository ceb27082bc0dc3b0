"""The turnstile before the database's connections: so many at a time, first come, first served."""

from __future__ import annotations

import threading
import time

import pytest

from local_cluster.waiting import eventually
from presence.storage.turnstile import Turnstile


def test_who_waited_longest_is_next() -> None:
    turnstile = Turnstile(1)
    order: list[int] = []

    def come(number: int) -> None:
        with turnstile.passed(10):
            order.append(number)

    with turnstile.passed(1):
        threads = []
        for number in range(8):
            threads.append(threading.Thread(target=come, args=[number]))
            threads[-1].start()
            eventually(lambda n=number: len(turnstile._waiting) == n + 1, "it waits")  # type: ignore[misc]
    for thread in threads:
        thread.join()
    assert order == list(range(8))


def test_never_more_are_inside_than_there_are_places() -> None:
    turnstile = Turnstile(3)
    inside, most = 0, 0
    guard = threading.Lock()

    def come() -> None:
        nonlocal inside, most
        for _ in range(50):
            with turnstile.passed(10):
                with guard:
                    inside += 1
                    most = max(most, inside)
                time.sleep(0)
                with guard:
                    inside -= 1

    threads = [threading.Thread(target=come) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most <= 3
    with turnstile.passed(0), turnstile.passed(0), turnstile.passed(0):
        pass


def test_who_gives_up_takes_no_place_with_it() -> None:
    turnstile = Turnstile(1)
    with turnstile.passed(0):
        for _ in range(3):
            with pytest.raises(TimeoutError), turnstile.passed(0.01):
                raise AssertionError("there was no place")
    with turnstile.passed(0):
        pass
    with pytest.raises(ValueError, match="inside"), turnstile.passed(0):
        raise ValueError("inside")
    with turnstile.passed(0):
        pass
