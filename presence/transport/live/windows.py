"""When a room was marked as changed, and what its next announcement has to know."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field


@dataclass
class Window:
    """The time during which a room's changes share an announcement."""

    marked: bool = False  # changed since the last announcement
    since: float = field(default_factory=time.perf_counter)  # when the first change was marked
    announced: int = 0  # the version that was announced last
    own: bool = False  # changed by this process, so that others are to be told
    news: bool = False  # changed in a way that no notice told of
    writing: float = 0.0  # about how many seconds writing the last announcement took
    hurry: threading.Event | None = None  # set when a list that could wait tells news after all
    version: int = 0  # the newest that is known to have been committed
    asks: bool = False  # marked by somebody who does not know the version, or what it changed
