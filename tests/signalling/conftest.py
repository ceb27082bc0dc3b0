"""Fixtures of the signalling tests: clients that have joined, pages, and a loop for aiortc."""

from __future__ import annotations

import asyncio
import functools
import threading
from collections.abc import Callable, Coroutine, Generator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page
from presence_client import Client

from local_cluster.live_server import LiveServer
from tests.signalling.pages import ClientPage
from tests.support import needs
from tests.support.chromium import Profile

Connect = Callable[..., Any]
Member = Callable[..., Any]
NewServer = Callable[..., LiveServer]
NewPage = Callable[..., ClientPage]
NewClient = Callable[..., Client]
InLoop = Callable[[Coroutine[Any, Any, Any]], Any]

# For tests of what happens in the clients: how the server runs makes no difference to them.
ON_EVENTLET = pytest.mark.parametrize("server", ["eventlet"], indirect=True)


@pytest.fixture
def member(connect: Connect, room: str) -> Member:
    """Connect a stock client and let it join the test's room (or another) as a peer."""

    def make(server: LiveServer, peer_id: str, kind: str = "python", room_name: str = room) -> Any:
        client = connect(server, kind)
        join = {"room_name": room_name, "peer_id": peer_id, "username": peer_id}
        answer = client.call("join_room", join)
        assert answer["ok"], answer
        return client

    return make


@pytest.fixture
def presence_client() -> Generator[NewClient]:
    """Make the project's Python client, not yet connected; closed after the test."""
    made: list[Client] = []

    def make(server: LiveServer, peer_id: str, **options: Any) -> Client:
        made.append(Client(server.url, peer_id=peer_id, **options))
        return made[-1]

    yield make
    for client in made:
        client.close()


@pytest.fixture
def client_page(chromium: Browser) -> Generator[NewPage]:
    """Open a page with the JavaScript client in it; no page may have had an error of its own."""
    needs.default_route()
    made: list[ClientPage] = []

    def make(server: LiveServer, **options: Any) -> ClientPage:
        made.append(ClientPage(chromium, server, **options))
        return made[-1]

    yield make
    errors = [error for page in made for error in page.errors]
    for page in made:
        page.close()
    assert errors == []


@pytest.fixture
def in_loop() -> Generator[InLoop]:
    """Run a coroutine to its end in an event loop of another thread, for aiortc.

    Playwright occupies the loop of the main thread.
    """
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    yield lambda coroutine: asyncio.run_coroutine_threadsafe(coroutine, loop).result(60)
    loop.call_soon_threadsafe(loop.stop)
    thread.join(10)


@pytest.fixture
def browse(chromium: Browser) -> Generator[Callable[[str], Page]]:
    """Open an address in a browser of its own."""
    profiles = []

    def open_page(url: str) -> Page:
        profiles.append(Profile(chromium))
        page = profiles[-1].new_page()
        page.goto(url)
        return page

    yield open_page
    for profile in profiles:
        profile.close()


@pytest.fixture
def folder_server(tmp_path: Path) -> Generator[Callable[[Path], str]]:
    """Serve a folder from an origin of its own, as somebody's web site would be."""
    servers: list[ThreadingHTTPServer] = []

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: Any) -> None:
            pass

    def serve(folder: Path) -> str:
        handler = functools.partial(Quiet, directory=str(folder))
        servers.append(ThreadingHTTPServer(("127.0.0.1", 0), handler))
        threading.Thread(target=servers[-1].serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{servers[-1].server_port}"

    yield serve
    for server in servers:
        server.shutdown()
        server.server_close()
