"""A Caddy of one's own with the configuration of deploy/, but for its address."""

from __future__ import annotations

from pathlib import Path

from local_cluster import programs
from local_cluster.live_server import ROOT
from local_cluster.private_proxy import PrivateProxy

DEPLOYED = ROOT / "deploy" / "Caddyfile"


class PrivateCaddy(PrivateProxy):
    """A proxy with a configuration in which ports of workers are put in the place of 3001 …."""

    program = programs.CADDY

    def __init__(self, workers: dict[str, int], configuration: str | None = None) -> None:
        super().__init__()
        text = configuration or DEPLOYED.read_text()
        for name, port in workers.items():
            text = text.replace(f"127.0.0.1:300{name.removeprefix('w')}", f"127.0.0.1:{port}")
        text = text.replace("presence.example.org", self.url)
        own = "{\n\tadmin off\n}\n"
        (self.folder / "Caddyfile").write_text(own + text)

    def command(self) -> list[str | Path]:
        """Return the command line."""
        return [self._program, "run", "--config", self.folder / "Caddyfile"]
