"""A host of its own for a client: a network namespace, joined to this machine by a link."""

from __future__ import annotations

import os
import subprocess
from types import TracebackType

from tests.support import needs


class NetworkHost:
    """A host whose link to this machine can be taken down, as by pulling the cable.

    `here` is this machine's address on the link. Needs root, and Linux.
    """

    def __init__(self) -> None:
        self._ip = needs.program("ip")
        if os.geteuid() != 0:
            needs.missing("the right to make network namespaces", "root has it")
        number = os.getpid()
        self._name = f"presence{number}"
        self._link = f"pr{number}"
        subnet = f"10.{198 + number % 2}.{number // 2 % 256}"
        self.here, self._there = f"{subnet}.1", f"{subnet}.2"

    def __enter__(self) -> NetworkHost:
        """Make the host, and bring its link up."""
        far = f"{self._link}b"
        self._run("netns", "add", self._name)
        try:
            self._run("link", "add", self._link, "type", "veth", "peer", "name", far)
            self._run("link", "set", far, "netns", self._name)
            self._run("addr", "add", f"{self.here}/30", "dev", self._link)
            self._run("-n", self._name, "addr", "add", f"{self._there}/30", "dev", far)
            self._run("-n", self._name, "link", "set", far, "up")
            self.set_link(up=True)
        except BaseException:
            self._run("netns", "delete", self._name)
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Remove the host; its link goes with it."""
        self._run("netns", "delete", self._name)

    @property
    def command(self) -> tuple[str, ...]:
        """What to put before a command so that it runs on the host."""
        return (self._ip, "netns", "exec", self._name)

    def set_link(self, *, up: bool) -> None:
        """Plug the cable in, or pull it."""
        self._run("link", "set", self._link, "up" if up else "down")

    def _run(self, *arguments: str) -> None:
        subprocess.run([self._ip, *arguments], check=True, capture_output=True, timeout=10)
