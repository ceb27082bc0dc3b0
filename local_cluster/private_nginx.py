"""An nginx of one's own with the configuration of deploy/, but for ports and paths."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from pathlib import Path

from local_cluster import private_folder, programs
from local_cluster.live_server import ROOT
from local_cluster.ports import free_port
from local_cluster.waiting import eventually

DEPLOYED = ROOT / "deploy" / "nginx.conf"
_MAIN = """
daemon off;
{user}
worker_processes 1;
error_log {folder}/error.log warn;
pid {folder}/nginx.pid;
events {{ worker_connections 8192; }}
http {{
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    include {folder}/presence.conf;
}}
"""


class PrivateNginx:
    """A proxy before `workers`, which are given as their ports by name (w1, w2, …)."""

    def __init__(self, workers: dict[str, int], configuration: str | None = None) -> None:
        self._program = programs.find(programs.NGINX)
        self.folder = private_folder.make("nginx")
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._process: subprocess.Popen[bytes] | None = None
        user = "user root;" if os.geteuid() == 0 else ""
        main = _MAIN.format(folder=self.folder, user=user)
        (self.folder / "nginx.conf").write_text(main)
        (self.folder / "presence.conf").write_text(
            for_workers(configuration or DEPLOYED.read_text(), workers)
            .replace("http://127.0.0.1:3001", f"http://127.0.0.1:{next(iter(workers.values()))}")
            .replace("listen 80 default_server;", f"listen 127.0.0.1:{self.port};", 1)
            .replace("    listen [::]:80 default_server;\n", "", 1)
            .replace("/var/log/nginx/presence.log", f"{self.folder}/access.log")
        )

    def check(self) -> str:
        """Return what nginx says of its configuration; fails if it is not valid."""
        done = subprocess.run([*self._command(), "-t"], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stderr

    def start(self) -> PrivateNginx:
        """Start the proxy and wait until it listens."""
        self._process = subprocess.Popen(
            self._command(), stdin=subprocess.DEVNULL, start_new_session=True
        )
        eventually((self.folder / "nginx.pid").exists, "nginx has started")
        return self

    def close(self) -> None:
        """End the proxy and remove its folder."""
        if self._process is not None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None
        private_folder.remove(self.folder)

    def access_log(self) -> list[str]:
        """Return the lines of the access log."""
        return (self.folder / "access.log").read_text().splitlines()

    def _command(self) -> list[str | Path]:
        return [self._program, "-p", self.folder, "-c", self.folder / "nginx.conf"]


def for_workers(configuration: str, workers: dict[str, int]) -> str:
    """Return the configuration with the lines that name w1, w2 and w3 made for these workers."""
    lines: list[str] = []
    for line in configuration.splitlines():
        found = re.search(r"presence_w(\d)|server 127\.0\.0\.1:300(\d)", line)
        if found is None or line.lstrip().startswith("#"):
            lines.append(line)
        elif "1" in found.groups():
            for name, port in workers.items():
                lines.append(re.sub(r"\bw1\b|(?<=_)w1\b", name, line).replace(":3001", f":{port}"))
    return "\n".join(lines) + "\n"
