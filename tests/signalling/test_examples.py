"""The examples of docs/clients.md run as they are written."""

from __future__ import annotations

import re
import subprocess
import sys
import threading
from collections.abc import Callable, Generator
from pathlib import Path

import pytest
from playwright.sync_api import Page

from local_cluster.live_server import LiveServer
from local_cluster.waiting import eventually
from tests.signalling.conftest import ON_EVENTLET, Member, NewPage
from tests.support import needs
from tests.support.clients import hears, shows
from tests.support.paths import ROOT

EXAMPLES = ROOT / "examples"


class Program:
    """A running example, and what it prints."""

    def __init__(self, command: list[str], cwd: Path) -> None:
        self.lines: list[str] = []
        self._process = subprocess.Popen(
            command, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self._process.stdout
        for line in self._process.stdout:
            self.lines.append(line.rstrip())

    def prints(self, pattern: str) -> None:
        eventually(
            lambda: any(re.search(pattern, line) for line in self.lines),
            f"a line like {pattern!r}",
            30,
        )

    def end(self) -> None:
        self._process.terminate()
        self._process.wait(10)


@pytest.fixture
def program() -> Generator[Callable[..., Program]]:
    """Run an example as a process of its own; ended after the test."""
    made: list[Program] = []

    def run(*command: str, cwd: Path = ROOT) -> Program:
        made.append(Program(list(command), cwd))
        return made[-1]

    yield run
    for item in made:
        item.end()


def node_modules(folder: Path) -> None:
    """Give a folder what “npm install” would: the packages of the tests, and our own."""
    packages = folder / "node_modules"
    packages.mkdir()
    for package in (needs.JAVASCRIPT / "node_modules").iterdir():
        (packages / package.name).symlink_to(package)
    (packages / "presence-client").symlink_to(ROOT / "static" / "client")


def asks(server: LiveServer, member: Member, room: str, helper: str) -> None:
    """Ask an example something and get its answer; `helper` is its peer_id."""
    alice = member(server, "alice")
    peer = shows(alice, helper, is_active=True)
    assert peer["user_data"] == {"role": "helper", "mood": "attentive"}
    alice.call("signal", {"to": helper, "type": "question", "data": "six times seven?"})
    answer = hears(alice, "signal")
    assert (answer["type"], answer["data"]) == ("answer", {"echo": "six times seven?"})


@ON_EVENTLET
def test_the_node_example(
    server: LiveServer,
    member: Member,
    program: Callable[..., Program],
    room: str,
    tmp_path: Path,
) -> None:
    node = needs.node_with_socketio_client()
    node_modules(tmp_path)
    (tmp_path / "node.mjs").write_text((EXAMPLES / "node.mjs").read_text())
    running = program(node, "node.mjs", server.url, room, cwd=tmp_path)
    running.prints(r"^uploaded (\d+) of \1 bytes$")
    running.prints(r"^the note is at /uploads/\w+\.txt$")
    running.prints("^unknown_peer: Room ")
    asks(server, member, room, "node")
    running.prints("^answered alice: delivered$")
    running.prints("^alice is here$")


@ON_EVENTLET
def test_the_python_example(
    server: LiveServer, member: Member, program: Callable[..., Program], room: str
) -> None:
    running = program(sys.executable, "examples/python_client.py", server.url, room)
    running.prints(r"^the note is at /uploads/\w+\.txt$")
    running.prints("^unknown_peer: Room ")
    asks(server, member, room, "python")
    running.prints("^answered alice: delivered$")


@ON_EVENTLET
def test_the_python_example_that_takes_calls(
    server: LiveServer, client_page: NewPage, program: Callable[..., Program], room: str
) -> None:
    running = program(sys.executable, "examples/python_call.py", server.url, room)
    running.prints("^“echo” answers calls")
    page = client_page(server)
    page.join(room, "alice")
    page.call("echo")
    page.connected_to("echo")
    page.tell("echo", "is there anybody?")
    page.hears("echo", "is there anybody?")


@ON_EVENTLET
def test_the_browser_example_from_another_origin(
    server: LiveServer,
    browse: Callable[[str], Page],
    folder_server: Callable[[Path], str],
    room: str,
) -> None:
    needs.default_route()
    site = folder_server(EXAMPLES)
    pages = [
        browse(f"{site}/browser.html?server={server.url}&room={room}&peer={name}")
        for name in ("ann", "ben")
    ]
    for page, other in zip(pages, ("ben", "ann"), strict=True):
        page.get_by_text(f"{other}: connected").wait_for(timeout=20_000)
        page.get_by_text(f"{other}: here").wait_for()
    pages[0].get_by_label("Message").fill("good evening")
    pages[0].get_by_role("button", name="Send").click()
    pages[1].get_by_text("ann says good evening").wait_for(timeout=10_000)


def test_the_whiteboard_is_one_for_all(
    new_server: Callable[..., LiveServer],
    browse: Callable[[str], Page],
    folder_server: Callable[[Path], str],
) -> None:
    server = new_server(PRESENCE_KEEP_BROADCASTS=100)
    site = folder_server(EXAMPLES)

    def open_board(name: str) -> Page:
        return browse(f"{site}/whiteboard.html?server={server.url}&room=board&peer={name}")

    def paint(page: Page) -> int:
        """Count the painted pixels of a board."""
        return int(
            page.evaluate(
                "() => { const c = document.querySelector('canvas');"
                " return c.getContext('2d').getImageData(0, 0, c.width, c.height)"
                ".data.filter((value, at) => at % 4 === 3 && value > 0).length; }"
            )
        )

    ann, ben = open_board("ann"), open_board("ben")
    for page in (ann, ben):
        page.get_by_text("ann, ben").wait_for(timeout=60_000)
    ann.mouse.move(100, 200)
    ann.mouse.down()
    ann.mouse.move(300, 250, steps=5)
    ann.mouse.up()
    ben.locator(".cursor", has_text="ann").wait_for(timeout=10_000)
    eventually(lambda: paint(ben) > 500, "ben sees the stroke")
    cas = open_board("cas")
    eventually(lambda: paint(cas) > 500, "who comes later sees it, too")
    ben.get_by_label("Paper").evaluate(
        "(input) => { input.value = '#ccddee'; input.dispatchEvent(new Event('change')); }"
    )
    for page in (ann, cas):
        page.wait_for_function("document.getElementById('paper').value === '#ccddee'")
    ben.get_by_role("button", name="Clear").click()
    for page in (ann, ben, cas, open_board("dan")):
        eventually(lambda page=page: paint(page) == 0, "the board is empty")  # type: ignore[misc]


@ON_EVENTLET
def test_the_react_native_example(  # noqa: PLR0917
    server: LiveServer,
    member: Member,
    browse: Callable[[str], Page],
    folder_server: Callable[[Path], str],
    room: str,
    tmp_path: Path,
) -> None:
    """React Native's components as react-native-web has them; the example is not changed."""
    needs.node_with_socketio_client()
    needs.npm_package("react-native-web")
    node_modules(tmp_path)
    (tmp_path / "App.js").write_text((EXAMPLES / "react-native" / "App.js").read_text())
    (tmp_path / "index.js").write_text(
        'import React from "react"; import { createRoot } from "react-dom/client";'
        'import App from "./App.js";'
        "const query = Object.fromEntries(new URLSearchParams(location.search));"
        'createRoot(document.getElementById("root")).render(React.createElement(App, query));'
    )
    (tmp_path / "index.html").write_text('<div id="root"></div><script src="out.js"></script>')
    options = [
        *("--bundle", "--loader:.js=jsx", "--alias:react-native=react-native-web"),
        *('--define:process.env.NODE_ENV="production"', "--preserve-symlinks"),
        *("--outfile=out.js", "--log-level=error"),
    ]
    bundle = subprocess.run(
        [str(needs.JAVASCRIPT / "node_modules" / ".bin" / "esbuild"), "index.js", *options],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert bundle.returncode == 0, bundle.stderr
    page = browse(f"{folder_server(tmp_path)}/index.html?server={server.url}&room={room}")
    page.get_by_text("Phone: here").wait_for(timeout=20_000)
    alice = member(server, "alice")
    page.get_by_text("alice: here").wait_for()
    page.get_by_text("Wave").click()
    assert hears(alice, "broadcast")["event"] == "wave"
    page.get_by_text("You waved").wait_for()
    alice.call("broadcast", {"event": "wave", "data": None})
    page.get_by_text("alice waves").wait_for()


@pytest.mark.parametrize("name", ["browser.html", "node.mjs", "react-native/App.js"])
def test_the_documentation_shows_each_example_as_it_is(name: str) -> None:
    documentation = (ROOT / "docs" / "clients.md").read_text()
    assert f"`examples/{name}`" in documentation
    assert f"\n{(EXAMPLES / name).read_text().rstrip()}\n```\n" in documentation
