"""A Caddy of one's own with the configuration of deploy/, but for its address."""

from __future__ import annotations

import re
from pathlib import Path

from local_cluster import programs
from local_cluster.live_server import ROOT
from local_cluster.private_proxy import PrivateProxy

DEPLOYED = ROOT / "deploy" / "Caddyfile"


_FOR_ONE = "\treverse_proxy 127.0.0.1:3001\n"
# Of the comments in it, those that are lines for several workers.
_FOR_SEVERAL = re.compile(r"^\t# (@w|reverse_proxy|\t|\})")


def for_several(configuration: str) -> str:
    """Return the Caddyfile with its lines for several workers in the place of that for one."""
    before, _, rest = configuration.partition(_FOR_ONE)
    comments, _, _ = rest.partition("\t# Below a path")
    lines = [
        line.replace("# ", "", 1) for line in comments.splitlines() if _FOR_SEVERAL.match(line)
    ]
    return before + "\n".join([*lines, "}", ""])


def below_a_path(configuration: str) -> str:
    """Return the Caddyfile with its lines for a server below a path in the place of the others."""
    before, _, rest = configuration.partition(_FOR_ONE)
    _, _, comments = rest.partition("\t# Below a path")
    lines = [line.replace("# ", "", 1) for line in comments.splitlines()[1:] if "# " in line]
    return before + "\n".join([*lines, "}", ""])


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
