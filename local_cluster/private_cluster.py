"""A whole cluster of one's own: PostgreSQL, Redis, workers, and nginx before them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from local_cluster import private_folder
from local_cluster.live_server import LiveServer
from local_cluster.private_nginx import PrivateNginx
from local_cluster.private_postgresql import PrivatePostgresql
from local_cluster.private_redis import PrivateRedis


class PrivateCluster:
    """Workers on one database and one Redis, with a proxy whose `url` clients use.

    It has what tests use of a `LiveServer`. Further settings hold for every worker.
    """

    mode = "eventlet"

    def __init__(
        self,
        postgresql: PrivatePostgresql,
        workers: int = 3,
        mode: str = "eventlet",
        **settings: Any,
    ) -> None:
        self.folder = private_folder.make("cluster")
        self.uploads = self.folder / "uploads"
        self.postgresql = postgresql
        self.database_url = postgresql.new_database()
        self.redis = PrivateRedis()
        self._settings = {
            "DATABASE_URL": self.database_url,
            "REDIS_URL": self.redis.url,
            "UPLOAD_DIR": str(self.uploads),
            "PRESENCE_TRUSTED_PROXIES": 1,
            **settings,
        }
        self.workers = [self._worker(number, mode) for number in range(1, workers + 1)]
        self.nginx = PrivateNginx({worker.name: worker.port for worker in self.workers})
        self.port, self.url = self.nginx.port, self.nginx.url

    def start(self) -> PrivateCluster:
        """Start everything and wait until it answers."""
        self.redis.start()
        for worker in self.workers:
            worker.launch()
        for worker in self.workers:
            worker.wait_until_it_answers()
        self.nginx.start()
        return self

    def close(self) -> None:
        """End everything and remove its folder."""
        self.nginx.close()
        for worker in self.workers:
            worker.kill()
        self.redis.close()
        private_folder.remove(self.folder)

    kill = close

    def log_text(self) -> str:
        """Return everything that the workers have printed."""
        return "\n".join(worker.log_text() for worker in self.workers)

    def stored_files(self) -> list[str]:
        """Return every file below the upload folder, pending ones included."""
        return self.workers[0].stored_files()

    def worker_of(self, sid: str) -> NamedWorker:
        """Return the worker that holds a socket, by the beginning of its id."""
        return next(w for w in self.workers if sid.startswith(f"{w.name}."))

    def others(self, worker: NamedWorker) -> list[NamedWorker]:
        """Return all workers but one."""
        return [other for other in self.workers if other is not worker]

    def _worker(self, number: int, mode: str) -> NamedWorker:
        folder = self.folder / f"worker{number}"
        folder.mkdir()
        return NamedWorker(f"w{number}", folder, mode, **self._settings)


class NamedWorker(LiveServer):
    """A worker with the name by which the proxy knows it."""

    def __init__(self, name: str, folder: Path, mode: str, **settings: Any) -> None:
        super().__init__(folder, mode, **settings, PRESENCE_WORKER_NAME=name)
        self.name = name
        self.uploads = Path(settings["UPLOAD_DIR"])


NewCluster = Callable[..., PrivateCluster]
