"""What a process keeps of the memory it has let go, where the C library is glibc."""

from __future__ import annotations

import ctypes
from contextlib import suppress

# The names of mallopt(3) for the two bounds.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
# From this size on a block goes back to the system as soon as it is let go.
_LARGE_BYTES = 1024 * 1024
# So much is kept of what lies free behind the last block.
_KEPT_BYTES = 8 * 1024 * 1024


def give_back_large_blocks() -> None:
    """Have this process give large blocks of memory back at once, and keep the room for messages.

    Once it has given a large one back, glibc keeps those of its size for later, and whatever small
    thing lies behind them pins them: a fifth more memory for good after long lists. With that bound
    set, it gives all but 128 KiB of free memory back after every message (mallopt(3)), and the
    system has to hand out zeroed pages for the next: half of the CPU of a message of a megabyte.
    Does nothing where there is another C library.
    """
    with suppress(AttributeError, OSError):
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(_M_MMAP_THRESHOLD, _LARGE_BYTES)
        mallopt(_M_TRIM_THRESHOLD, _KEPT_BYTES)
