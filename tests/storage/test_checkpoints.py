"""The log of SQLite's changes is worked off while the server serves."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from local_cluster.live_server import LiveServer
from local_cluster.waiting import eventually
from tests.support.rest import Rest

NewServer = Callable[..., LiveServer]
A_THOUSAND_PAGES = 1000 * 4096


@pytest.mark.parametrize("mode", ["eventlet", "threading"])
def test_a_long_log_is_worked_off_beside_the_changes_that_make_it(
    new_server: NewServer, mode: str
) -> None:
    server = new_server(mode)
    rest = Rest(server)
    log = Path(f"{server.database}-wal")
    number = 0
    while log.stat().st_size < A_THOUSAND_PAGES:
        number += 1
        assert rest.join("r", "alice", text=f"text {number} " + "x" * 12_000).ok
    eventually(
        lambda: f"text {number} ".encode() in server.database.read_bytes(), "the file has it"
    )
