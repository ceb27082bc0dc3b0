"""What a PostgreSQL was asked, as its own log has it: each line is one message, a round trip."""

from __future__ import annotations

import re
from typing import NamedTuple

from local_cluster.private_postgresql import PrivatePostgresql, database_name

_LINE = re.compile(r"^\S+ \S+ \S+ \[(\d+)\] (\w+):  (.*)$")


class Asked(NamedTuple):
    """One transaction: its messages, each with several statements, those that prepare left out."""

    messages: list[str]

    @property
    def round_trips(self) -> int:
        """How many answers were waited for."""
        return len(self.messages)

    @property
    def statements(self) -> int:
        """How many statements were run, those that begin and end the transaction included."""
        return sum(len(re.findall(r"EXECUTE s\d+|\bBEGIN\b|\bCOMMIT\b", m)) for m in self.messages)


class StatementLog:
    """The transactions in a database from some moment on."""

    def __init__(self, postgresql: PrivatePostgresql, database_url: str) -> None:
        self._postgresql = postgresql
        name = database_name(database_url)
        postgresql.execute("postgres", f"ALTER DATABASE {name} SET log_statement = 'all'")
        self._read = 0

    def forget(self) -> None:
        """Begin anew."""
        self._read = len(self._postgresql.log_text())

    def about(self, text: str) -> list[Asked]:
        """Return the transactions since then in which something was asked with this text."""
        open_: dict[str, list[str]] = {}
        done: list[Asked] = []
        for pid, message in self._messages():
            if pid not in open_ and not message.startswith("BEGIN"):
                done.append(Asked([message]))
                continue
            open_.setdefault(pid, []).append(message)
            if message.endswith(("COMMIT", "ROLLBACK")):
                done.append(Asked(open_.pop(pid)))
        return [asked for asked in done if any(text in message for message in asked.messages)]

    def _messages(self) -> list[tuple[str, str]]:
        found: list[tuple[str, str]] = []
        is_message = False
        for line in self._postgresql.log_text()[self._read :].splitlines():
            match = _LINE.match(line)
            if match is None:
                if is_message and line.startswith("\t"):
                    found[-1] = (found[-1][0], f"{found[-1][1]}\n{line[1:]}")
                continue
            # What a prepared statement was made of follows each message that runs it.
            is_message = match[2] == "LOG" and match[3].startswith("statement: ")
            if is_message:
                found.append((match[1], match[3].removeprefix("statement: ")))
        return found
