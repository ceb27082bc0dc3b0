"""A Redis of one's own: in a temporary folder, on a free port."""

from __future__ import annotations

import signal
import subprocess

import redis

from local_cluster import private_folder, programs
from local_cluster.ports import free_port
from local_cluster.waiting import eventually


class PrivateRedis:
    """A Redis that keeps nothing; `url` stays the same when it is stopped and started again."""

    def __init__(self) -> None:
        self._program = programs.find(programs.REDIS)
        self.folder = private_folder.make("redis")
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> PrivateRedis:
        """Start the server and wait until it answers."""
        options = f"--port {self.port} --bind 127.0.0.1 --appendonly no --dir {self.folder}"
        with (self.folder / "redis.log").open("ab") as log:
            self._process = subprocess.Popen(
                [self._program, *options.split(), "--save", ""],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        eventually(self._answers, "Redis answers")
        return self

    @property
    def group(self) -> int:
        """The process group of the server."""
        assert self._process is not None
        return self._process.pid

    def client(self) -> redis.Redis:
        """Return a client, to ask the server what it has done."""
        return redis.Redis(port=self.port, socket_timeout=2, socket_connect_timeout=2)

    def commands(self) -> dict[str, int]:
        """Return how often each command was called, and how many messages went to subscribers."""
        stats = self.client().info("commandstats")
        return {name.removeprefix("cmdstat_"): int(item["calls"]) for name, item in stats.items()}

    def signal(self, number: int) -> None:
        """Send the server a signal, such as SIGSTOP to let it hang."""
        assert self._process is not None
        self._process.send_signal(number)

    def stop(self) -> None:
        """End the server at once."""
        if self._process is not None:
            self._process.send_signal(signal.SIGCONT)
            self._process.kill()
            self._process.wait()
            self._process = None

    def close(self) -> None:
        """End the server and remove its folder."""
        self.stop()
        private_folder.remove(self.folder)

    def _answers(self) -> bool:
        try:
            return bool(self.client().ping())
        except redis.RedisError:
            return False
