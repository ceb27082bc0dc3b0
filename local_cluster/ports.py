"""Ports of this machine that nobody uses."""

from __future__ import annotations

import contextlib
import random
import socket


def free_port() -> int:
    """Return a port of this machine that nobody uses.

    Below those that the system gives to clients (from 32768): one of them might get it before the
    server does, or while it restarts.
    """
    while True:
        port = random.SystemRandom().randrange(12_000, 32_000)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
