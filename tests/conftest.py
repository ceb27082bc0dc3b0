"""Fixtures that every test may use."""

from __future__ import annotations

import os
import re
import signal
from collections import Counter
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import pytest

from local_cluster.live_server import LiveServer
from local_cluster.private_cluster import PrivateCluster
from local_cluster.private_postgresql import PrivatePostgresql
from presence.storage import postgresql as postgresql_limits
from presence.transport.process.runtime import Runtime
from tests.support import hiding, needs, warm_starts
from tests.support.bare_domain import app, domain, session
from tests.support.chromium import chromium
from tests.support.clients import KINDS, Client
from tests.support.paths import ROOT
from tests.support.small_disks import small_disk

__all__ = ["app", "chromium", "domain", "session", "small_disk"]


# What tests of the shared server run against; those marked `cluster` also run against a cluster.
KINDS_OF_SERVER = ["eventlet", "threading", "cluster"]
SERVERS = os.environ.get("PRESENCE_TEST_SERVERS", "eventlet,threading").split(",")

# What servers do not see of the packages here.
LiveServer.environment = {"PYTHONPATH": str(ROOT / "tests" / "support" / "production")}

if not warm_starts.COLD:
    LiveServer.start_process = warm_starts.launch

hiding.hide()

# How long each fixture may take to end a test whose own time is over.
_SECONDS_TO_END = 30


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out the kinds of server that were not asked for."""

    def wanted(item: pytest.Item) -> bool:
        callspec = getattr(item, "callspec", None)
        kind = callspec.params.get("server") if callspec else None
        if kind == "cluster" and item.get_closest_marker("cluster"):
            return True
        return kind in SERVERS or kind not in KINDS_OF_SERVER

    left_out = [item for item in items if not wanted(item)]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if wanted(item)]


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Spread the tests by their files, but run all that need the shared cluster in one process.

    Each process that runs one starts a cluster, whose parts are at work as long as it stands.
    """
    from xdist.scheduler import LoadFileScheduling  # noqa: PLC0415

    class ByFileAndCluster(LoadFileScheduling):  # type: ignore[misc]
        def _split_scope(self, nodeid: str) -> str:
            if re.search(r"\[(.*-)?cluster(-.*)?\]|/test_two_workers", nodeid):
                return "the shared cluster"
            return str(super()._split_scope(nodeid))

    return ByFileAndCluster(config, log)


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Say in one line for each thing that was missing how many tests were skipped for it."""
    reasons = Counter(
        report.longrepr[2].removeprefix("Skipped: ")
        for report in terminalreporter.stats.get("skipped", [])
    )
    for reason, count in reasons.most_common():
        tests, need, were = ("test", "needs", "was") if count == 1 else ("tests", "need", "were")
        said = reason.removeprefix(needs.NEEDS)
        what = f"{need} {said}" if said != reason else f"{were} skipped: {reason}"
        terminalreporter.write_line(f"{count} {tests} {what}")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup() -> Generator[None]:
    """Skip a test whose fixtures need what is not on this machine."""
    with needs.met_or_skipped():
        return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call() -> Generator[None]:
    """Skip a test that itself needs what is not on this machine."""
    with needs.met_or_skipped():
        return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown() -> Generator[None]:
    """Let no fixture take for ever to end, where the time of its test has been used up already."""
    if signal.getitimer(signal.ITIMER_REAL)[0] == 0:
        signal.setitimer(signal.ITIMER_REAL, _SECONDS_TO_END, _SECONDS_TO_END)
    return (yield)


@pytest.fixture(autouse=True)
def _nothing_runs_on(monkeypatch: pytest.MonkeyPatch) -> Generator[None]:
    """End what a server within this process does by itself, be it started by a request."""
    started: list[Runtime] = []
    start = Runtime.start

    def remembered(runtime: Runtime) -> None:
        start(runtime)
        started.append(runtime)

    monkeypatch.setattr(Runtime, "start", remembered)
    yield
    for runtime in started:
        runtime.rest()


@pytest.fixture(autouse=True, scope="session")
def _patience() -> Generator[None]:
    """Let this process wait longer for PostgreSQL than a server that has clients.

    What the server waits for holds for every connection of a process, also for those of the tests,
    and where the machine is busy with other tests a statement may well take some seconds.
    """
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(postgresql_limits, "_statement_seconds", lambda _settings: 60.0)
        for limit in ("_MAX_STATEMENT_SECONDS", "_TURN_SECONDS"):
            patched.setattr(postgresql_limits, limit, 60.0)
        yield


@pytest.fixture(scope="session", params=KINDS_OF_SERVER)
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Generator[LiveServer | PrivateCluster]:
    """A live server, on eventlet, on threads or a cluster, shared by the tests of this session."""
    if request.param == "cluster":
        yield request.getfixturevalue("cluster")
        return
    live = LiveServer(tmp_path_factory.mktemp(request.param), mode=request.param).start()
    yield live
    live.kill()


@pytest.fixture(scope="session")
def cluster(postgresql: PrivatePostgresql) -> Generator[PrivateCluster]:
    """Three workers behind nginx, shared by the tests of this session."""
    made = PrivateCluster(postgresql).start()
    yield made
    made.close()


@pytest.fixture
def new_server(tmp_path: Path) -> Generator[Callable[..., LiveServer]]:
    """Make a server of one's own, for tests that crash it or need other settings."""
    made: list[LiveServer] = []

    def make(mode: str = "eventlet", **settings: Any) -> LiveServer:
        folder = tmp_path / f"server{len(made)}"
        folder.mkdir()
        made.append(LiveServer(folder, mode, **settings))
        return made[-1].start()

    yield make
    for live in made:
        live.kill()


@pytest.fixture(scope="session")
def postgresql() -> Generator[PrivatePostgresql]:
    """A PostgreSQL of this session's own."""
    private = PrivatePostgresql().start()
    yield private
    private.close()


@pytest.fixture
def room(request: pytest.FixtureRequest) -> str:
    """A room name that no other test uses."""
    return str(request.node.name).replace("/", "-").replace("\\", "-")[:128]


@pytest.fixture
def connect(request: pytest.FixtureRequest) -> Generator[Callable[..., Any]]:
    """Connect a stock client (``"python"`` by default) to a server; closed after the test."""
    made: list[Client] = []

    def make(
        server: LiveServer,
        kind: str = "python",
        transports: list[str] | None = None,
        auth: dict[str, Any] | None = None,
    ) -> Any:
        made.append(KINDS[kind](server.url, transports, auth))
        return made[-1]

    yield make
    for client in made:
        client.disconnect()
