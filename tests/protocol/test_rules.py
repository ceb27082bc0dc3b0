"""Every rule of both protocols on this server, and on the library's own beside it."""

from __future__ import annotations

import os
import subprocess
import sys
import traceback
from collections.abc import Generator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from local_cluster.live_server import LiveServer
from local_cluster.ports import free_port
from local_cluster.waiting import eventually
from tests.protocol import engine_rules, socket_rules
from tests.protocol.wire import Polling
from tests.support.paths import ROOT

RULES = {rule.__name__: rule for rule in (*engine_rules.RULES, *socket_rules.RULES)}
# The text allows for no other key; `pid` is what lets stock clients have their place back.
NOT_FOLLOWED = {"nothing_but_the_id_is_told_at_connect"}


def broken(server: Any) -> dict[str, str]:
    """Return the rules that a server breaks, each with how it did."""
    found = {}
    for name, rule in RULES.items():
        try:
            rule(server)
        except Exception:
            found[name] = traceback.format_exc(limit=-2)
    return found


@pytest.fixture(scope="module", params=["eventlet", "threading"])
def quick(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Generator[LiveServer]:
    """A server whose pings come soon."""
    live = LiveServer(
        tmp_path_factory.mktemp("rules"),
        mode=request.param,
        PRESENCE_PING_INTERVAL=0.9,
        PRESENCE_PING_TIMEOUT=0.9,
    ).start()
    yield live
    live.kill()


def test_every_rule_but_those_that_are_named_is_followed(quick: LiveServer) -> None:
    found = broken(quick)
    assert found.keys() == NOT_FOLLOWED, "\n".join(found.values())
    assert "Traceback" not in quick.log_text()


def test_the_ping_interval_is_told_in_milliseconds(quick: LiveServer) -> None:
    opening = Polling(quick).opening
    assert (opening["pingInterval"], opening["pingTimeout"]) == (900, 900)


@pytest.mark.skipif(not os.environ.get("PRESENCE_TEST_STOCK"), reason="asks for a campaign")
def test_the_stock_server_follows_no_rule_that_is_not_followed_here(tmp_path: Path) -> None:
    port = free_port()
    command = [sys.executable, "-m", "tests.protocol.stock_server", str(port)]
    with (tmp_path / "log").open("wb") as log:
        stock = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log)
    try:
        server: Any = SimpleNamespace(port=port, url=f"http://127.0.0.1:{port}")
        eventually(lambda: _answers(server), "the stock server answers", 60, 0.2)
        found = broken(server)
        print(f"the stock server breaks {len(found)} of {len(RULES)} rules: {', '.join(found)}")
        assert RULES.keys() - found.keys() >= NOT_FOLLOWED
    finally:
        stock.kill()
        stock.wait()


def _answers(server: Any) -> bool:
    try:
        return bool(Polling(server).opening)
    except OSError:
        return False
