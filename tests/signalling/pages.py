"""A browser page that runs the JavaScript client, and nothing of the server's own pages."""

from __future__ import annotations

import json
from typing import Any

from playwright.sync_api import Browser, Page

from local_cluster.live_server import LiveServer
from local_cluster.waiting import eventually
from tests.support.chromium import Profile

SOCKET_IO = "/static/vendor/socket.io-client-4.8.4/socket.io.min.js"
_APPLICATION = "application.html"

# What the tests ask of a page: the client as `client`, everything that happens in `happened`,
# the connections by peer in `connections` and what came over their data channels in `heard`.
SETUP = """async ({ server, options }) => {
  const module = await import(`${server ?? ""}/static/client/index.js`);
  Object.assign(window, module, { happened: [], connections: {}, heard: {}, problems: [] });
  window.collisions = 0;
  window.server = server ?? undefined;
  window.client = new PresenceClient(window.server, options);
  client.on("error", (error) => problems.push(`${error.code}: ${error.detail}`));
  for (const event of ["joined", "left", "state", "signal", "broadcast"]) {
    client.on(event, (body) => happened.push([event, body]));
  }
  client.on("connection", (connection) => {
    const { peerId } = connection;
    connections[peerId] = connection;
    heard[peerId] ??= [];
    connection.on("peerconnection", (pc) => {
      // An offer that comes while ours is out is the collision that the tests provoke.
      client.on("signal", ({ type, from }) => {
        if (type === "offer" && from === peerId && pc.signalingState === "have-local-offer") {
          collisions += 1;
        }
      });
    });
    connection.on("message", (message) => heard[peerId].push(message));
    connection.on("state", (state) => happened.push(["connection", { peerId, ...state }]));
  });
}"""


class ClientPage:
    """A page with a `PresenceClient`; `answers` says whether it takes calls that come in."""

    def __init__(self, chromium: Browser, server: LiveServer, **options: Any) -> None:
        # Chromium takes a page that is handed to it for one of the internet, which may not open
        # WebSockets to this machine unless somebody allows it.
        self._profile = Profile(chromium, permissions=["local-network-access"])
        self.page: Page = self._profile.new_page()
        # A page of somebody's application, on the server's origin but with policies of its own.
        self.page.route(
            f"{server.url}/{_APPLICATION}",
            lambda route: route.fulfill(body="<!doctype html>", content_type="text/html"),
        )
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.errors: list[str] = []
        self.url = server.url
        self.options = options
        self.load()

    def load(self) -> None:
        """Load the page, anew perhaps: whatever ran in it before is gone."""
        self.page.goto(f"{self.url}/{_APPLICATION}")
        self.page.add_script_tag(url=self.url + SOCKET_IO)
        self.page.evaluate(SETUP, {"options": self.options})

    def run(self, script: str, argument: Any = None) -> Any:
        """Evaluate JavaScript, an expression or a function of `argument`; promises are awaited."""
        return self.page.evaluate(script, argument)

    def join(self, room: str, peer_id: str, answers: bool = False) -> None:
        """Join a room."""
        if answers:
            self.run("() => { client.on('call', () => {}) }")
        self.run("([room, peerId]) => client.join(room, { peerId })", [room, peer_id])

    def call(self, peer_id: str | None = None) -> None:
        """Call a peer, or everyone; does not wait for the connection."""
        self.run("(id) => { window.call = client.call(id ?? everyone) }", peer_id)

    def connected_to(self, peer_id: str, seconds: float = 20) -> None:
        """Wait until the connection to a peer is up and its data channel open."""
        is_up = """(id) => connections[id]?.state === "connected"
            && connections[id].channel?.readyState === "open" """
        try:
            eventually(
                lambda: self.run(is_up, peer_id), f"a call to {peer_id}", seconds, interval=0.05
            )
        except AssertionError as error:
            raise AssertionError(f"{error}; the page saw {self.connection_states()}") from None

    def tell(self, peer_id: str, message: str) -> None:
        """Send a message over the data channel."""
        self.run("([id, message]) => connections[id].send(message)", [peer_id, message])

    def hears(self, peer_id: str, message: str, seconds: float = 10) -> None:
        """Wait until a message has come over the data channel."""
        eventually(
            lambda: message in self.run("(id) => heard[id] ?? []", peer_id),
            f"the page hears {message!r} from {peer_id}",
            seconds,
            interval=0.05,
        )

    def connection_states(self) -> str:
        """Return what the connections went through, for a failure's message."""
        return json.dumps(
            self.run("[happened.filter(([event]) => event === 'connection'), problems]")
        )

    def close(self) -> None:
        """Close the page without a word, as a person would."""
        self._profile.close()
