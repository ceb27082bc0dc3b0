"""What these tests use of the other tests."""

from local_cluster.live_server import LiveServer
from local_cluster.waiting import eventually
from tests.support.keys import LOCKED, token
from tests.support.paths import ROOT

__all__ = ["LOCKED", "ROOT", "LiveServer", "eventually", "token"]
