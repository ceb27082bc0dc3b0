"""Calls that end for everybody: with their room, and when somebody is put out of it."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from urllib.parse import quote

import requests
from playwright.sync_api import WebSocketRoute

from local_cluster.live_server import LiveServer
from local_cluster.waiting import eventually
from tests.signalling.conftest import ON_EVENTLET, NewPage
from tests.signalling.pages import ClientPage
from tests.signalling.pictures import PAINT, open_pages, sees
from tests.support.keys import LOCKED, bearer, token

# Who is banned is one of so many.
PAGES = int(os.environ.get("PRESENCE_TEST_PAGES", "3"))
NAMES = ["ann", "ben", "cyd", "dan"]


@ON_EVENTLET
def test_a_call_ends_with_its_room(server: LiveServer, client_page: NewPage, room: str) -> None:
    pages = open_pages(client_page, server, ["ann", "ben", "cyd"])
    ann, ben, cyd = pages.values()
    ann.join(f"{room} one", "ann")
    ben.join(f"{room} one", "ben", answers=True)
    cyd.join(f"{room} two", "cyd", answers=True)
    for page in (ben, cyd):
        page.run("() => { window.call = client.call(everyone) }")
    ann.run("() => { window.call = client.call(everyone, painted('red')) }")
    sees(ben, {"ann": ["red"]})
    ann.join(f"{room} two", "ann")
    sees(ben, {}, 3)
    assert ann.run("[call.ended, call.connections.length]") == [True, 0]
    assert ben.run("connections.ann.state") == "closed"
    ann.run("() => { window.call = client.call(everyone, painted('lime')) }")
    sees(cyd, {"ann": ["lime"]})
    sees(ben, {})


def through(page: ClientPage, rewrite: Callable[[str], str | None]) -> None:
    """Let what the server sends to a page pass `rewrite` from now on; None is not passed on."""

    def connected(near: WebSocketRoute) -> None:
        far = near.connect_to_server()

        def pass_on(message: str | bytes) -> None:
            text = rewrite(message) if isinstance(message, str) else message
            if text is not None:
                near.send(text)

        far.on_message(pass_on)

    page.page.route_web_socket(re.compile("/socket.io/"), connected)
    page.options["socket"] = {"transports": ["websocket"]}
    page.load()


def test_whoever_is_banned_gets_no_picture_any_more_though_their_program_ignores_it(
    new_server: Callable[..., LiveServer], client_page: NewPage, room: str
) -> None:
    server = new_server(**LOCKED)
    pages = {name: client_page(server, token=token(name, room)) for name in NAMES[:PAGES]}
    ben = pages["ben"]
    # As a program that does not want to know.
    through(ben, lambda text: None if "leave_room_success" in text else text)
    for name, page in pages.items():
        page.run(PAINT)
        page.join(room, name)
        page.run("() => { window.call = client.call(everyone, painted('red')) }")
    others = {name: page for name, page in pages.items() if page is not ben}
    sees(ben, {name: ["red"] for name in others})
    ban(server, room, "ben")
    for page in others.values():
        page.page.wait_for_function("() => connections.ben.state === 'closed'", timeout=1000)
        assert page.run("connections.ben.reason") == "“ben” was banned from the room."
    frames = """async () => {
      let frames = 0;
      for (const { pc } of Object.values(connections)) {
        for (const { type, kind, framesReceived } of (await pc?.getStats())?.values() ?? []) {
          if (type === "inbound-rtp" && kind === "video") frames += framesReceived;
        }
      }
      return frames;
    }"""
    ben.page.wait_for_timeout(1000)
    before = ben.run(frames)
    ben.page.wait_for_timeout(1000)
    assert ben.run(frames) == before


def test_whoever_is_banned_while_away_is_hung_up_on_and_not_waited_for(
    new_server: Callable[..., LiveServer], client_page: NewPage, room: str
) -> None:
    server = new_server(**LOCKED)
    ann, ben = (client_page(server, token=token(name, room)) for name in ("ann", "ben"))
    for page, name in ((ann, "ann"), (ben, "ben")):
        page.run(PAINT)
        page.join(room, name)
        page.run("() => { window.call = client.call(everyone, painted('red')) }")
    sees(ann, {"ben": ["red"]})
    ben.run("() => client.socket.io.engine.close() || client.socket.disconnect()")
    away = "client.peers.find((peer) => peer.peer_id === 'ben').reason === 'disconnected'"
    eventually(lambda: ann.run(away), "ben is away", 20)
    assert ann.run("connections.ben.state") != "closed"
    ban(server, room, "ben")
    eventually(lambda: ann.run("connections.ben.state === 'closed'"), "ann hangs up", 5)
    assert ann.run("connections.ben.reason") == "“ben” was banned from the room."


def ban(server: LiveServer, room: str, peer_id: str) -> None:
    url = f"{server.url}/api/webrtc/rooms/{quote(room)}/peers/{peer_id}/ban"
    headers = bearer(token("root", room, "admin"))
    requests.post(url, json={}, headers=headers, timeout=10).raise_for_status()
