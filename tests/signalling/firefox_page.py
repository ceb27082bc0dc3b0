"""A page in Firefox that runs the JavaScript client."""

from __future__ import annotations

from typing import Any

from local_cluster.live_server import LiveServer
from tests.signalling.pages import SETUP, SOCKET_IO, ClientPage
from tests.support.firefox import Firefox

_LOAD = """(url) => new Promise((resolve, reject) => {
  const script = Object.assign(document.createElement("script"), { src: url });
  Object.assign(script, { onload: () => resolve(), onerror: reject });
  document.head.append(script);
})"""


class FirefoxPage(ClientPage):
    """The page of somebody's application, on an origin of its own (`site`)."""

    def __init__(self, firefox: Firefox, server: LiveServer, site: str, **options: Any) -> None:
        self._firefox = firefox
        self._site = site
        self.errors = []
        self.url = server.url
        self.options = options
        self.load()

    def load(self) -> None:
        self._firefox.goto(self._site)
        self.run(_LOAD, self.url + SOCKET_IO)
        self.run(SETUP, {"server": self.url, "options": self.options})

    def run(self, script: str, argument: Any = None) -> Any:
        return self._firefox.evaluate(script, argument)

    def close(self) -> None:
        self._firefox.close()
