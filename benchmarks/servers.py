"""The servers that are measured: this one and its rivals, each started alone, pinned to a core."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from benchmarks import machine
from local_cluster.ports import free_port

ROOT = Path(__file__).parent.parent
RIVALS = Path(__file__).parent / "rivals"
NODE_PACKAGES = RIVALS / "node_modules"
_START_SECONDS = 60.0
# The same for all. On a machine that does other things as well, a server may be late for an answer;
# what a workload costs is wanted all the same.
_PING_SECONDS, _PONG_SECONDS = "5", "60"
# What no load here comes near, and every setting may be.
_MANY = "1000000"


@dataclass(frozen=True)
class Contender:
    """A server that can be measured.

    `offers` names the parts of the contract that it has: ``rooms`` (joins, updates, lists),
    ``signal``, ``rest``, ``upload``, ``delta``, ``peerjs`` (a protocol of its own) and ``storm``
    (joins of 1,000 at once are over within a minute).
    """

    name: str
    title: str
    command: list[str]
    offers: frozenset[str]
    folder: Path = ROOT
    settings: dict[str, str] = field(default_factory=dict)
    needs_node: bool = False

    def missing(self) -> str:
        """Return what it lacks on this machine, or nothing."""
        if not self.needs_node:
            return ""
        if shutil.which("node") is None:
            return "Node is not installed"
        if not NODE_PACKAGES.is_dir():
            return f"run “npm install --no-package-lock” in {RIVALS.relative_to(ROOT)}"
        return ""


_ALL = frozenset({"rooms", "signal", "rest", "upload"})
# How gunicorn is started.
GUNICORN = [sys.executable, "-m", "gunicorn"]


def presence(name: str = "presence", folder: Path = ROOT) -> Contender:
    """Return this server, as a working tree in `folder` has it, on gunicorn with its defaults.

    Limits that a load from one address would run into are raised, not switched off.
    """
    return Contender(
        name=name,
        title="Presence" if folder == ROOT else f"Presence ({name})",
        command=GUNICORN,
        offers=_ALL | {"delta", "storm"},
        folder=folder,
        settings={
            "DATABASE_URL": "sqlite:///{data}/presence.db",
            "UPLOAD_DIR": "{data}/uploads",
            "PRESENCE_MAX_PEERS": "2000",
            # REST joins must not expire while they are measured.
            "PRESENCE_REST_SESSION_SECONDS": "3600",
            "PRESENCE_SOCKETS_PER_ADDRESS": _MANY,
            "PRESENCE_CONNECTS_PER_MINUTE": _MANY,
            "PRESENCE_REQUESTS_PER_MINUTE": _MANY,
            "PRESENCE_UPLOADS_PER_MINUTE": _MANY,
            "PRESENCE_EVENTS_PER_SECOND": _MANY,
            "PRESENCE_EVENT_BURST": _MANY,
            "PRESENCE_MAX_KEPT_PEERS": "2000",
            "PRESENCE_PING_INTERVAL": _PING_SECONDS,
            "PRESENCE_PING_TIMEOUT": _PONG_SECONDS,
        },
    )


def rivals() -> list[Contender]:
    """Return what this server is measured against."""
    node = ["node", str(RIVALS / "node_socketio.mjs")]
    return [
        Contender(
            "node",
            "Node Socket.IO, obvious",
            node,
            _ALL,
            needs_node=True,
        ),
        Contender(
            "node-coalesced",
            "Node Socket.IO, coalesced",
            node,
            _ALL | {"storm"},
            settings={"COALESCE_MS": "50"},
            needs_node=True,
        ),
        Contender(
            "flask",
            "Flask-SocketIO, stock",
            [
                *GUNICORN,
                "--no-control-socket",
                "--worker-class=eventlet",
                "--worker-connections=10000",
                "--keep-alive=30",
                "--graceful-timeout=1",
                "--bind=127.0.0.1:{port}",
                "flask_socketio_stock:app",
            ],
            _ALL,
            folder=RIVALS,
        ),
        Contender(
            "eventlet",
            "eventlet, bare relay",
            [sys.executable, str(RIVALS / "eventlet_relay.py")],
            frozenset({"signal", "idle"}),
        ),
        Contender(
            "peerjs",
            "PeerJS server",
            ["node", str(RIVALS / "peerjs_server.mjs")],
            frozenset({"peerjs"}),
            needs_node=True,
        ),
    ]


class Server:
    """A running server with a fresh database and upload folder of its own."""

    def __init__(self, contender: Contender, core: int, **settings: str) -> None:
        self.contender = contender
        self.port = free_port()
        self._data = Path(tempfile.mkdtemp(prefix="benchmark-"))
        self.log = self._data / "server.log"
        values = {"port": str(self.port), "data": str(self._data)}
        environment = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("PRESENCE_", "FLASK_RUN_", "WERKZEUG_", "GUNICORN_"))
        }
        environment |= {
            "HOST": "127.0.0.1",
            "PORT": str(self.port),
            "DATA_DIR": str(self._data),
            "PING_SECONDS": _PING_SECONDS,
            "PONG_SECONDS": _PONG_SECONDS,
        }
        for name, value in {**contender.settings, **settings}.items():
            environment[name] = value.format(**values)
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [part.format(**values) for part in contender.command],
                cwd=contender.folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                # A group to end together, in this session: schedulers that share the processor
                # among sessions then treat both sides alike.
                process_group=0,
                preexec_fn=partial(os.sched_setaffinity, 0, {core}),  # noqa: PLW1509 – there are no threads
            )
        self._await_port()

    @property
    def pids(self) -> list[int]:
        """The ids of its processes, workers included: they come a moment after the port answers."""
        return machine.group_members(self._process.pid)

    def cpu(self) -> float:
        """Return the CPU seconds that its processes have used so far."""
        return machine.cpu_seconds(self.pids)

    def memory(self) -> int:
        """Return how many bytes its processes have in memory."""
        return machine.resident_bytes(self.pids)

    def stop(self) -> None:
        """End its processes, and remove what it stored."""
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        shutil.rmtree(self._data, ignore_errors=True)

    def log_tail(self) -> str:
        """Return the last lines that it printed."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-15:])

    def _await_port(self) -> None:
        deadline = time.monotonic() + _START_SECONDS
        while True:
            try:
                # Only a worker answers: gunicorn's master listens before there is one.
                with socket.create_connection(("127.0.0.1", self.port), 2) as probe:
                    probe.sendall(b"GET /x HTTP/1.0\r\n\r\n")
                    probe.settimeout(10)
                    if probe.recv(1):
                        return
            except OSError:
                pass
            if self._process.poll() is not None or time.monotonic() > deadline:
                text = self.log_tail()
                self.stop()
                raise RuntimeError(f"{self.contender.name} did not start:\n{text}")
            time.sleep(0.05)
