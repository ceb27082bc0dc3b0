"""A real TURN server (coturn) on loopback, with the secret that Presence is given."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

from local_cluster.ports import free_port
from local_cluster.waiting import eventually
from tests.support import needs

SECRET = "a secret of the tests only"


class TurnServer:
    """coturn with the TURN REST convention (``use-auth-secret``)."""

    def __init__(self, folder: Path) -> None:
        self._program = needs.program("turnserver")
        self._folder = folder
        self.port = free_port()
        self.url = f"turn:127.0.0.1:{self.port}?transport=udp"
        self.log = folder / "turn.log"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def settings(self) -> dict[str, str]:
        """The settings that make a Presence server hand out its credentials."""
        return {"PRESENCE_TURN_URLS": self.url, "PRESENCE_TURN_SECRET": SECRET}

    def start(self) -> TurnServer:
        """Start it and wait until it listens."""
        options = (
            f"-n --listening-ip=127.0.0.1 --relay-ip=127.0.0.1 --listening-port={self.port} "
            "--fingerprint --lt-cred-mech --use-auth-secret --realm=presence.test "
            "--allow-loopback-peers --no-cli --no-tls --no-dtls --no-multicast-peers "
            "--log-file=stdout --simple-log --verbose"
        )
        files = [f"--userdb={self._folder / 'turndb'}", f"--pidfile={self._folder / 'turn.pid'}"]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [self._program, *options.split(), *files, f"--static-auth-secret={SECRET}"],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        eventually(self._listens, f"coturn listens; it says {self.log_text()[-500:]}")
        return self

    def kill(self) -> None:
        """End it at once, and every relayed path with it."""
        if self._process is not None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None

    def log_text(self) -> str:
        """Return everything that it has printed."""
        return self.log.read_text(errors="replace")

    def _listens(self) -> bool:
        """Look in the kernel's table of UDP sockets: UDP itself would not tell."""
        assert self._process is not None
        assert self._process.poll() is None, self.log_text()
        address = f"0100007F:{self.port:04X}"
        return address in Path("/proc/net/udp").read_text()
