"""What a process does again and again for as long as it runs; each feature registers its own."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from flask import Flask

log = logging.getLogger(__name__)

_INTERVAL_SECONDS = 1.0


@dataclass(slots=True)
class _Task:
    do: Callable[[], None]
    seconds: float
    failure: str
    done: float


class Upkeep:
    """The tasks of a process, done one after the other; one that fails is tried again."""

    def __init__(self, app: Flask, sleep: Callable[[float], Any]) -> None:
        self._app = app
        self._sleep = sleep
        self._tasks: list[_Task] = []
        self._is_over = False

    def every(self, seconds: float, do: Callable[[], None], failure: str) -> None:
        """Do something every so many seconds, in an app context, after what was registered before.

        `failure` says in the log what did not work, should it raise.
        """
        self._tasks.append(_Task(do, seconds, failure, time.monotonic()))

    def run(self) -> None:
        """Do every task when it is due, until `stop`."""
        began = time.monotonic()
        for task in self._tasks:
            task.done = began
        while not self._is_over:
            self._sleep(_INTERVAL_SECONDS)
            for task in self._tasks:
                if self._is_over:
                    return
                if time.monotonic() - task.done >= task.seconds:
                    self._do(task)
                    self._sleep(0)  # let others in between

    def stop(self) -> None:
        """Begin no task any more."""
        self._is_over = True

    def _do(self, task: _Task) -> None:
        try:
            with self._app.app_context():
                task.do()
        except Exception:
            log.exception("%s; trying again", task.failure)
        else:
            task.done = time.monotonic()
