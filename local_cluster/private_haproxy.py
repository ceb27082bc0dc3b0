"""An HAProxy of one's own with the configuration of deploy/, but for its ports."""

from __future__ import annotations

from pathlib import Path

from local_cluster import programs
from local_cluster.live_server import ROOT
from local_cluster.private_proxy import PrivateProxy

DEPLOYED = ROOT / "deploy" / "haproxy.cfg"


class PrivateHaproxy(PrivateProxy):
    """A proxy with a configuration in which ports of workers are put in the place of 3001 …."""

    program = programs.HAPROXY

    def __init__(self, workers: dict[str, int], configuration: str | None = None) -> None:
        super().__init__()
        text = configuration or DEPLOYED.read_text()
        for number in range(1, 10):
            port = workers.get(f"w{number}")
            lines = text.splitlines()
            if port is None:
                lines = [line for line in lines if f"127.0.0.1:300{number}" not in line]
            text = "\n".join(lines).replace(f"127.0.0.1:300{number}", f"127.0.0.1:{port}") + "\n"
        text = text.replace("maxconn 20000", "maxconn 1000")
        text = text.replace("bind :80\n", f"bind 127.0.0.1:{self.port}\n", 1)
        (self.folder / "haproxy.cfg").write_text(text)

    def command(self) -> list[str | Path]:
        """Return the command line."""
        return [self._program, "-db", "-f", self.folder / "haproxy.cfg"]
