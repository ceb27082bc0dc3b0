"""What is left of clients that were closed: nothing."""

from __future__ import annotations

import asyncio
import gc
import os
import threading
import weakref
from pathlib import Path
from typing import Any

from . import kinds
from .kinds import in_loop, loop_of_clients
from .support import LiveServer, eventually

CLIENTS = int(os.environ.get("PRESENCE_TEST_LEAKS", "200"))


def sockets() -> int:
    """Return how many sockets this process has open."""
    found = 0
    for entry in Path("/proc/self/fd").iterdir():
        try:
            found += os.readlink(entry).startswith("socket:")
        except OSError:
            continue
    return found


def threads() -> list[str]:
    """Return the threads that belong to clients."""
    return [one.name for one in threading.enumerate() if one.name.startswith("presence-client")]


async def in_flight() -> tuple[list[str], list[Any]]:
    """Return what the loop of the asyncio clients still does, and when it is to wake up."""
    own = asyncio.current_task()
    scheduled = [h for h in getattr(loop_of_clients(), "_scheduled", []) if not h.cancelled()]
    return [str(task) for task in asyncio.all_tasks() if task is not own], scheduled


def test_nothing_is_left_of_clients_that_were_closed(
    open_server: LiveServer, kind: str, room: str
) -> None:
    in_loop(in_flight()).result(10)
    before = sockets()
    made: list[weakref.ref[Any]] = []
    for number in range(CLIENTS):
        driven = kinds.make(kind, open_server.url, peer_id="ada")
        driven.client.on("signal", lambda _: None)
        if number % 4 == 1:
            driven.start("join", room)
        elif number % 4 == 2:
            driven.call("join", room)
            driven.call("rooms")
        elif number % 4 == 3:
            driven.call("connect")
        driven.call("close")
        made.append(weakref.ref(driven.client))
        del driven
    eventually(lambda: threads() == [], "no thread is left")
    eventually(lambda: sockets() == before, f"no socket is left beside {before}")
    eventually(lambda: in_loop(in_flight()).result(10) == ([], []), "no task, no timer is left")

    def kept() -> list[Any]:
        gc.collect()
        return [one() for one in made if one() is not None]

    eventually(lambda: not kept(), "no client is kept", interval=0.2)
