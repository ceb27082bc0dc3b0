"""An identity provider's address of keys: answers as a file tells it to, and notes who asked.

    python provider.py PORT FOLDER

FOLDER/says.json has ``how`` and ``keys``; each request is a line with its time in FOLDER/asked.
"""

from __future__ import annotations

import contextlib
import http.server
import json
import sys
import time
from pathlib import Path

FOLDER = Path(sys.argv[2])


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers one request."""

    def do_GET(self) -> None:
        """Answer with the keys, or as badly as was asked for."""
        with (FOLDER / "asked").open("a") as asked:
            asked.write(f"{time.monotonic()}\n")
        says = json.loads((FOLDER / "says.json").read_text())
        how, body = says["how"], json.dumps({"keys": says["keys"]}).encode()
        if self.path == "/elsewhere":
            how = "well"
        if how == "hang":
            time.sleep(60)
        elif how == "drip":
            self._drip()
        elif how == "slow":
            time.sleep(1.5)
        elif how == "redirect":
            self.send_response(302)
            self.send_header("Location", "/elsewhere")
            self.end_headers()
            return
        elif how == "error":
            self.send_error(500)
            return
        elif how == "long":
            body = b'{"keys": [' + b" " * 2_000_000 + b"]}"
        elif how == "wrong":
            body = b"<html>Sign in</html>"
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _drip(self) -> None:
        """Send a header a byte at a time, each well within any timeout."""
        self.send_response(200)
        self.flush_headers()
        with contextlib.suppress(OSError):
            for _ in range(120):
                self.wfile.write(b"X")
                self.wfile.flush()
                time.sleep(0.5)

    def log_message(self, *args: object) -> None:
        """Say nothing."""


server = http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler)
server.daemon_threads = True
server.serve_forever()
