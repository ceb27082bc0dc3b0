"""What these tests use of the other tests."""

from tests.access.keys import LOCKED, token
from tests.live_server import ROOT, LiveServer
from tests.waiting import eventually

__all__ = ["LOCKED", "ROOT", "LiveServer", "eventually", "token"]
