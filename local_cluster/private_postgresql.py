"""A PostgreSQL of one's own: in a temporary folder, reached through a socket in it."""

from __future__ import annotations

import contextlib
import itertools
import os
import signal
import subprocess
from pathlib import Path
from typing import Any

import psycopg2

from local_cluster import private_folder, programs
from local_cluster.waiting import eventually

# Fast, and safe against a crash of PostgreSQL, though not of the machine.
_OPTIONS = {
    "listen_addresses": "",
    "fsync": "off",
    "full_page_writes": "off",
    "max_connections": "200",
    "shared_buffers": "64MB",
    "log_min_messages": "warning",
    "log_min_error_statement": "error",
}


class PrivatePostgresql:
    """A database server; `new_database` gives the URL of an empty database in it."""

    def __init__(self) -> None:
        self._programs = programs.find(programs.POSTGRESQL).parent
        self.folder = private_folder.make("pg")
        self.log = self.folder / "postgresql.log"
        self._data = self.folder / "data"
        self._account: dict[str, Any] = private_folder.hand_over(self.folder)
        self._process: subprocess.Popen[bytes] | None = None
        self._numbers = itertools.count(1)

    def start(self) -> PrivatePostgresql:
        """Start the server and wait until it takes connections."""
        if not self._data.exists():
            self._run("initdb", "-D", str(self._data), "-U", "presence", "-A", "trust", "--no-sync")
        options = [f"-c{name}={value}" for name, value in _OPTIONS.items()]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [self._programs / "postgres", "-D", self._data, "-k", self.folder, *options],
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                **self._account,
            )
        eventually(self._answers, f"PostgreSQL answers: {self.log_text()[-500:]}", 30)
        return self

    def restart(self) -> None:
        """Stop the server, ending every connection, and start it again."""
        self.stop()
        self.start()

    def stop(self) -> None:
        """Stop the server in good order, but without waiting for its clients."""
        if self._process is not None:
            self._process.send_signal(signal.SIGINT)  # "fast shutdown"
            self._process.wait(30)
            self._process = None

    def freeze(self) -> None:
        """Let the server hang: it keeps its connections and answers nothing."""
        self.signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let a frozen server go on."""
        self.signal(signal.SIGCONT)

    def signal(self, number: int) -> None:
        """Send a signal to the server and to the processes that serve its connections."""
        for pid in self.groups():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    def groups(self) -> list[int]:
        """Return the process groups of the server: each of its processes leads one."""
        assert self._process is not None
        children = subprocess.run(
            [programs.find(programs.PS), "-o", "pid=", "--ppid", str(self._process.pid)],
            capture_output=True,
            text=True,
            check=False,
        )
        return [self._process.pid, *map(int, children.stdout.split())]

    def close(self) -> None:
        """End the server and remove its folder."""
        if self._process is not None:
            self.thaw()
            self._process.send_signal(signal.SIGQUIT)
            self._process.wait(30)
            self._process = None
        private_folder.remove(self.folder)

    def new_database(self) -> str:
        """Make an empty database and return its URL."""
        name = f"presence{next(self._numbers)}"
        self.execute("postgres", f"CREATE DATABASE {name}")
        return f"postgresql://presence@/{name}?host={self.folder}"

    def execute(self, database: str, statement: str) -> list[Any]:
        """Run one statement in a database and return its rows, if it gives any."""
        connection = psycopg2.connect(host=str(self.folder), user="presence", dbname=database)
        try:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute(statement)
                return cursor.fetchall() if cursor.description else []
        finally:
            connection.close()

    def log_text(self) -> str:
        """Return everything that the server has logged."""
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def _answers(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, self.log_text()
        try:
            return bool(self.execute("postgres", "SELECT 1"))
        except psycopg2.OperationalError:
            return False

    def _run(self, program: str, *arguments: str) -> None:
        done = subprocess.run(
            [self._programs / program, *arguments],
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
            **self._account,
        )
        assert done.returncode == 0, done.stderr


def database_name(url: str) -> str:
    """Return the name of the database that a URL of `new_database` leads to."""
    return Path(url.split("?", maxsplit=1)[0]).name
