"""Tells systemd that this process is well, as long as its upkeep goes on (sd_notify(3)).

With ``WatchdogSec=`` in its unit systemd starts a process again from which it hears nothing for so
long. A start may take longer than that, where tables are brought up to date.
"""

from __future__ import annotations

import logging
import os
import socket

from presence.transport.process.runtime import Runtime

log = logging.getLogger(__name__)

# What a start may take; afterwards the time of the unit holds again.
_START_MICROSECONDS = 3600 * 1_000_000


def be_patient(run: Runtime) -> None:
    """Let systemd wait for the steps of the start that are registered after this one."""

    def begin() -> None:
        if watched():
            notify(f"WATCHDOG_USEC={_START_MICROSECONDS}\nWATCHDOG=1")

    run.at_start(begin)


def init_app(run: Runtime) -> None:
    """Let systemd wait no longer than its unit says from the end of the start on."""

    def watch() -> None:
        if watched():
            notify(f"WATCHDOG_USEC={os.environ['WATCHDOG_USEC']}\nWATCHDOG=1")
            run.upkeep.every(0, lambda: notify("WATCHDOG=1"), "systemd could not be told")

    run.at_start(watch)


def watched() -> bool:
    """Return whether systemd has started this process and wants to hear of it."""
    return bool(os.environ.get("NOTIFY_SOCKET") and os.environ.get("WATCHDOG_USEC"))


def notify(state: str) -> None:
    """Tell systemd something; raises `OSError` where nobody listens."""
    address = os.environ["NOTIFY_SOCKET"]
    if address.startswith("@"):  # a name that is no file (unix(7), abstract)
        address = f"\0{address[1:]}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as line:
        line.setblocking(False)
        line.sendto(state.encode(), address)
