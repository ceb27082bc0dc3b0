"""Node's Socket.IO over several processes, with its Redis adapter and PostgreSQL, as a rival."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from contextlib import suppress

from benchmarks.servers import NODE_PACKAGES, RIVALS
from local_cluster.ports import free_port
from local_cluster.private_postgresql import PrivatePostgresql
from local_cluster.private_redis import PrivateRedis

_START_SECONDS = 60.0


def missing() -> str:
    """Return what it lacks on this machine, or nothing."""
    if shutil.which("node") is None:
        return "Node is not installed"
    if not (NODE_PACKAGES / "pg").is_dir():
        return "run “npm install --no-package-lock” in benchmarks/rivals"
    return ""


class NodeWorker:
    """One process of the rival."""

    def __init__(self, database_url: str, redis_url: str, coalesce_ms: int) -> None:
        self.port = free_port()
        self._process = subprocess.Popen(
            ["node", str(RIVALS / "node_cluster.mjs")],
            env={
                **os.environ,
                "PORT": str(self.port),
                "DATABASE_URL": database_url,
                "REDIS_URL": redis_url,
                "COALESCE_MS": str(coalesce_ms),
            },
            start_new_session=True,
        )

    @property
    def group(self) -> int:
        """The process group of the worker."""
        return self._process.pid

    def wait_until_it_answers(self) -> None:
        """Wait until it takes connections."""
        until = time.monotonic() + _START_SECONDS
        while time.monotonic() < until and self._process.poll() is None:
            with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
                return
            time.sleep(0.1)
        raise RuntimeError("the rival did not start")

    def kill(self) -> None:
        """End it."""
        self._process.kill()
        self._process.wait()


class NodeCluster:
    """Workers of the rival on one database and one Redis; has what is measured of ours."""

    def __init__(self, postgresql: PrivatePostgresql, workers: int, coalesce_ms: int) -> None:
        self.postgresql = postgresql
        self.redis = PrivateRedis()
        self._database_url = postgresql.new_database()
        self._count = workers
        self._coalesce_ms = coalesce_ms
        self.workers: list[NodeWorker] = []

    def start(self) -> NodeCluster:
        """Start everything and wait until it answers."""
        self.redis.start()
        self.workers = [
            NodeWorker(self._database_url, self.redis.url, self._coalesce_ms)
            for _ in range(self._count)
        ]
        for worker in self.workers:
            worker.wait_until_it_answers()
        return self

    def close(self) -> None:
        """End everything."""
        for worker in self.workers:
            worker.kill()
        self.redis.close()

    def log_text(self) -> str:
        """Return nothing: it prints to the terminal."""
        return ""
