"""A backend in a process of its own, which can fail, hang, die and come back."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from local_cluster.ports import free_port
from tests.support.programs import ListeningProgram

SECRET = "whsec_" + base64.b64encode(b"s" * 32).decode()
OLD_SECRET = "whsec_" + base64.b64encode(b"o" * 32).decode()


class Receiver:
    """A backend in a process of its own, which can fail, hang, die and come back."""

    def __init__(self, folder: Path, secret: str = SECRET, port: int = 0) -> None:
        self.port = port or free_port()
        self.url = f"http://127.0.0.1:{self.port}/hook"
        self._folder = folder
        self._taken = folder / "taken.jsonl"
        self._program = ListeningProgram(
            "tests/backend/receiver.py",
            self.port,
            [str(self._taken), secret],
            folder / "receiver.log",
        )

    @property
    def settings(self) -> dict[str, str]:
        """The settings of a server that tells it what happens."""
        return {"PRESENCE_WEBHOOK_URLS": self.url, "PRESENCE_WEBHOOK_SECRETS": SECRET}

    def start(self) -> Receiver:
        """Start it and wait until it listens."""
        self._program.start()
        return self

    def kill(self) -> None:
        """End it at once."""
        self._program.kill()

    def behave(self, **rooms: str) -> None:
        """Answer so to events of these rooms: a status, ``hang``, ``redirect`` or ``long``.

        ``stumble`` breaks the connection off, as who crashes over them does.
        ``late`` takes them, but 15 seconds after they came, and ``slow`` within half a second.

        ``everywhere`` stands for all rooms.
        """
        told = {"*" if name == "everywhere" else name: how for name, how in rooms.items()}
        file = self._folder / "behaviour.json"
        file.with_suffix(".new").write_text(json.dumps(told))
        file.with_suffix(".new").replace(file)

    @property
    def was_followed(self) -> bool:
        """Whether anybody went where a redirect led."""
        return (self._folder / "followed").exists()

    def all(self, room: str | None = None) -> list[dict[str, Any]]:
        """Return what it has taken, of one room or of all, in the order in which it came."""
        if not self._taken.exists():
            return []
        lines = self._taken.read_text().split("\n")[:-1]
        events = [json.loads(line) for line in lines]
        return [event for event in events if room in (None, event["room_name"])]

    def first(self, room: str | None = None) -> list[dict[str, Any]]:
        """Return the same without what it was told again."""
        first: dict[str, dict[str, Any]] = {}
        for event in self.all(room):
            first.setdefault(event["id"], event)
        return list(first.values())


NewReceiver = Callable[..., Receiver]
