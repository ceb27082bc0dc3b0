"""Threads of the operating system, for what must go on while everything else stands still."""

from __future__ import annotations

import sys
import threading
from typing import Any


def module(name: str = "threading") -> Any:
    """Return the standard library's module of this name as it was before anybody patched it.

    Where eventlet serves, the ordinary threads, locks and sleeps are greenlets', which stop all
    together.
    """
    patcher = sys.modules.get("eventlet.patcher")
    if patcher is None:
        return threading if name == "threading" else __import__(name)
    return patcher.original(name)
