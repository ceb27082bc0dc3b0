"""Threads of the operating system, for what must go on while everything else stands still."""

from __future__ import annotations

import socket
import sys
import threading
from collections.abc import Callable
from typing import Any, TypeVar

Result = TypeVar("Result")


def module(name: str = "threading") -> Any:
    """Return the standard library's module of this name as it was before anybody patched it.

    Where eventlet serves, the ordinary threads, locks and sleeps are greenlets', which stop all
    together.
    """
    patcher = sys.modules.get("eventlet.patcher")
    if patcher is None:
        return threading if name == "threading" else __import__(name)
    return patcher.original(name)


def compute(function: Callable[[], Result]) -> Result:
    """Return what a function computes in a thread of its own, while everybody else goes on.

    It must touch nothing that eventlet has patched. What it raises is raised here.
    """
    done: list[Result] = []
    failed: list[BaseException] = []
    # The one who waits does so in `socket`, as eventlet has patched it; the other one by a plain
    # socket, as a patched one belongs to its greenlets.
    waiting, ours = socket.socketpair()
    theirs = module("socket").socket(fileno=ours.detach())

    def run() -> None:
        try:
            done.append(function())
        except BaseException as error:
            failed.append(error)
        finally:
            theirs.close()

    with waiting:
        module().Thread(target=run, daemon=True).start()
        waiting.recv(1)
    if failed:
        raise failed[0]
    return done[0]
