"""The packages that a server hands out, installed by their addresses as a new user would."""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import subprocess
import tarfile
import zipfile
from collections.abc import Callable, Generator
from pathlib import Path

import pytest
import requests
from playwright.sync_api import Browser, Page

from local_cluster.live_server import LiveServer
from local_cluster.ports import free_port
from local_cluster.waiting import eventually
from presence.config import VERSION
from presence.transport.pages.packages import client_packages
from tests.support import needs
from tests.support.chromium import Profile
from tests.support.paths import ROOT

DOCUMENT = (ROOT / "docs" / "clients.md").read_text()
VERSIONS = json.loads((needs.JAVASCRIPT / "package.json").read_text())["dependencies"]
USED = ["@types/react", "@types/react-dom", "react", "react-dom", "typescript", "vite"]
# The documents' server and room, which every program here gets for its own.
STANDS_FOR = "https://presence.example.org"

INDEX = '<!doctype html><body><script type="module" src="./{}"></script>'
REACT = """
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { People } from "./People.jsx";

const root = createRoot(document.body.appendChild(document.createElement("ul")));
root.render(<StrictMode><People /></StrictMode>);
window.unmount = () => root.unmount();
"""
REACT_CALL = """
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { Call } from "./Call.jsx";

const camera = await navigator.mediaDevices.getUserMedia({ audio: true, video: true });
const root = createRoot(document.body.appendChild(document.createElement("div")));
root.render(<StrictMode><Call camera={camera} /></StrictMode>);
window.unmount = () => root.unmount();
"""
NEXT = {
    "layout.jsx": """
export default function Layout({ children }) {
  return <html lang="en"><body>{children}</body></html>;
}
""",
    "page.jsx": """
import { Call } from "./Call";
import { People } from "./People";

export default function Page() {
  return <><ul><People /></ul><Call camera={null} /></>;
}
""",
}
CONFIGURATION = """
export default { build: { rollupOptions: { input: %s } }, base: "./" };
"""
COMMONJS = """
const { PresenceClient, PresenceError, everyone } = require("presence-client");
const hooks = require("presence-client/react");
const client = new PresenceClient(process.argv[2], { username: "Cy" });
client.join(process.argv[3]).then(({ peers }) => {
  const found = [peers.length, typeof everyone, typeof PresenceError, Object.keys(hooks).sort()];
  console.log(JSON.stringify(found));
  client.close();
});
"""
ON_A_SERVER = """
import { createElement } from "react";
import { renderToString } from "react-dom/server";
import {
  useBroadcasts, useCall, useMyData, usePeers, useRoom, useRoomData, useStates,
} from "presence-client/react";

function App() {
  const room = useRoom("studio", { url: "http://127.0.0.1:9" });
  const [data] = useMyData(room);
  const shared = [useRoomData(room)[0], useStates(room)[0], useBroadcasts(room)[0]];
  const found = [room.state, usePeers(room), useCall(room).streams, data, ...shared];
  return createElement("p", null, JSON.stringify(found));
}
console.log(JSON.stringify([typeof window, renderToString(createElement(App))]));
"""
TYPED = """
import {
  useBroadcasts, useCall, useMyData, usePeers, useRoom, useRoomData, useStates,
} from "presence-client/react";

interface Me {
  colour: string;
  count?: number;
}

export function App({ camera }: { camera: MediaStream | null }) {
  const room = useRoom<Me>("studio", { username: "Ada", userData: { colour: "red" } });
  const [me, update] = useMyData(room);
  const { call, streams } = useCall(room, camera);
  const [{ slide }, updateRoom] = useRoomData(room);
  const [states, setState] = useStates(room);
  const [heard, say] = useBroadcasts(room, { event: "chat" });
  setState({ idle: states.length === 0 });
  void updateRoom(({ n }) => ({ n: Number(n) + 1, slide: slide ?? 1 }));
  void say("chat", heard[0]?.data ?? "hello", { keep: true });
  const colours = usePeers(room).map((peer) => peer.user_data.colour.toUpperCase());
  // @ts-expect-error there is no such key
  const wrong = () => update({ color: "red" });
  return (
    <button onClick={() => update(({ count = 0 }) => ({ count: count + 1 }))} onBlur={wrong}>
      {me.count} {colours} {streams[0]?.stream.id} {call?.muted} {room.error?.code}
    </button>
  );
}
"""
TYPED_COMMONJS = """
import client = require("presence-client");
const one: client.PresenceClient = new client.PresenceClient("https://presence.example.org");
void one.join("studio").then(({ peers }) => peers.length);
"""


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Generator[LiveServer]:
    started = LiveServer(tmp_path_factory.mktemp("packages")).start()
    yield started
    started.kill()


@pytest.fixture(scope="module")
def project(live: LiveServer, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty project into which the client was installed by its address."""
    npm = needs.program("npm")
    needs.node_with_socketio_client()
    folder = tmp_path_factory.mktemp("project")
    (folder / "package.json").write_text('{"private": true, "type": "module"}')
    packages = [f"{name}@{VERSIONS[name]}" for name in USED]
    quietly = ["--no-audit", "--no-fund", "--prefer-offline", "--loglevel=error"]
    address = f"{live.url}/clients/presence-client.tgz"
    run(npm, "install", *quietly, address, *packages, cwd=folder)
    return folder


def run(*command: str, cwd: Path) -> str:
    """Run a program and return what it printed."""
    ended = subprocess.run(
        command, cwd=cwd, capture_output=True, text=True, timeout=300, check=False
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


def program(name: str, live: LiveServer, room: str) -> str:
    """Return a program of the documentation, with the server and the room of a test."""
    found = re.search(rf"\(`{re.escape(name)}`\)[^\n]*:?\n\n```\w+\n(.*?)```", DOCUMENT, re.DOTALL)
    assert found, name
    return found[1].replace(STANDS_FOR, live.url).replace('"studio"', json.dumps(room))


@pytest.fixture(scope="module")
def site(project: Path, live: LiveServer) -> Path:
    """The documentation's programs, built by Vite."""
    pages = {
        "people": ("people.js", ""),
        "call": ("call.js", ""),
        "react": ("react.jsx", REACT),
        "reactcall": ("reactcall.jsx", REACT_CALL),
    }
    for name in ("people.js", "call.js", "People.jsx", "Call.jsx"):
        (project / name).write_text(program(name, live, f"site {name.lower()}"))
    for page, (script, text) in pages.items():
        if text:
            (project / script).write_text(text)
        (project / f"{page}.html").write_text(INDEX.format(script))
    inputs = json.dumps([f"{page}.html" for page in pages])
    (project / "vite.config.js").write_text(CONFIGURATION % inputs)
    run(str(project / "node_modules/.bin/vite"), "build", "--logLevel", "error", cwd=project)
    return project / "dist"


def next_app(live: LiveServer, folder: Path) -> Path:
    """A new project for Next, with the documentation's components, not yet built."""
    npm = needs.program("npm", "npm")
    (folder / "package.json").write_text('{"private": true}')
    address = f"{live.url}/clients/presence-client.tgz"
    packages = [address, f"next@{os.environ['PRESENCE_TEST_NEXT']}", "react", "react-dom"]
    run(npm, "install", "--no-audit", "--no-fund", "--loglevel=error", *packages, cwd=folder)
    (folder / "app").mkdir()
    for name, text in NEXT.items():
        (folder / "app" / name).write_text(text)
    for name in ("People.jsx", "Call.jsx"):
        text = f'"use client";\n{program(name, live, "next")}'
        (folder / "app" / name).write_text(text)
    return folder


Browse = Callable[[str], Page]
FolderServer = Callable[[Path], str]


def active(live: LiveServer, room: str) -> list[str]:
    """Return the names of those who are in a room."""
    answer = requests.get(f"{live.url}/api/webrtc/rooms/{room}", timeout=10)
    peers = answer.json()["peers"] if answer.ok else []
    return sorted(peer["username"] for peer in peers if peer["is_active"])


def test_the_five_lines_show_who_is_here(
    live: LiveServer, site: Path, browse: Browse, folder_server: FolderServer
) -> None:
    page = browse(f"{folder_server(site)}/people.html")
    page.get_by_text("Ada").wait_for()
    before = page.evaluate("sessionStorage.getItem('presence-peer-id')")
    # A reload is nobody new.
    page.reload()
    page.get_by_text("Ada").wait_for()
    assert page.evaluate("sessionStorage.getItem('presence-peer-id')") == before
    room = requests.get(f"{live.url}/api/webrtc/rooms/site people.js", timeout=10).json()
    assert room["total_peer_count"] == 1


def test_the_five_lines_of_react_join_once_under_strict_mode_and_leave_with_the_component(
    live: LiveServer, site: Path, browse: Browse, folder_server: FolderServer
) -> None:
    page = browse(f"{folder_server(site)}/react.html")
    page.get_by_text("Ada").wait_for()
    room = requests.get(f"{live.url}/api/webrtc/rooms/site people.jsx", timeout=10).json()
    assert (room["total_peer_count"], room["peers"][0]["session_count"]) == (1, 1)
    page.evaluate("unmount()")
    eventually(lambda: active(live, "site people.jsx") == [], "nobody is left")


@pytest.mark.parametrize("name", ["call", "reactcall"])
def test_the_six_lines_make_a_call(
    chromium: Browser, site: Path, folder_server: FolderServer, name: str
) -> None:
    needs.default_route()
    address = f"{folder_server(site)}/{name}.html"
    profiles = [Profile(chromium, permissions=["camera", "microphone"]) for _ in range(2)]
    try:
        pages = [profile.new_page() for profile in profiles]
        for page in pages:
            page.goto(address)
        for page in pages:
            playing = (
                "[...document.querySelectorAll('video')].some((video) => video.videoWidth > 0)"
            )
            page.wait_for_function(playing, timeout=30_000)
            assert page.locator("video").count() == 1
        if name == "reactcall":
            pages[0].evaluate("unmount()")
            pages[1].wait_for_function("document.querySelectorAll('video').length === 0")
    finally:
        for profile in profiles:
            profile.close()


def test_a_program_of_commonjs_requires_it(live: LiveServer, project: Path) -> None:
    (project / "program.cjs").write_text(COMMONJS)
    found = json.loads(run("node", "program.cjs", live.url, "commonjs", cwd=project))
    hooks = ["useBroadcasts", "useCall", "useMyData", "usePeers", "useRoom", "useRoomData"]
    hooks.append("useStates")
    assert found == [1, "symbol", "function", hooks]


def test_it_is_imported_and_rendered_on_a_server_where_there_is_no_window(project: Path) -> None:
    (project / "server.mjs").write_text(ON_A_SERVER)
    window, html = json.loads(run("node", "server.mjs", cwd=project))
    assert window == "undefined"
    assert html == "<p>[&quot;idle&quot;,[],[],{},{},[],[]]</p>"


@pytest.mark.skipif(
    "PRESENCE_TEST_NEXT" not in os.environ, reason="PRESENCE_TEST_NEXT=latest installs 130 MB"
)
@pytest.mark.timeout(700)
def test_next_builds_and_serves_the_components(
    live: LiveServer, browse: Browse, tmp_path: Path
) -> None:
    app = next_app(live, tmp_path)
    run("node", "node_modules/next/dist/bin/next", "build", cwd=app)
    port = free_port()
    start = ["node", "node_modules/next/dist/bin/next", "start", "-H", "127.0.0.1", "-p", str(port)]
    with subprocess.Popen(start, cwd=app, stdout=subprocess.DEVNULL) as served:
        try:
            eventually(lambda: answers(port), "Next answers", 60)
            browse(f"http://127.0.0.1:{port}/").get_by_text("Ada").wait_for()
        finally:
            served.terminate()
    assert "Ada" in active(live, "next")


def answers(port: int) -> bool:
    try:
        return requests.get(f"http://127.0.0.1:{port}/", timeout=10).ok
    except requests.ConnectionError:
        return False


@pytest.mark.parametrize("resolution", ["nodenext", "bundler"])
def test_the_types_hold_strictly_and_without_skipping_anything(
    project: Path, resolution: str
) -> None:
    (project / "typed.tsx").write_text(TYPED)
    (project / "typed.cts").write_text(TYPED_COMMONJS)
    module = "nodenext" if resolution == "nodenext" else "preserve"
    options = f"--noEmit --strict --skipLibCheck false --module {module}"
    options += f" --moduleResolution {resolution} --jsx react-jsx --target es2022"
    options += " --lib es2022,dom,dom.iterable"
    files = ["typed.tsx", "typed.cts"] if resolution == "nodenext" else ["typed.tsx"]
    run("node", "node_modules/typescript/bin/tsc", *options.split(), *files, cwd=project)


def test_a_program_without_a_browser_needs_no_types_of_one(project: Path) -> None:
    (project / "plain.mts").write_text(
        'import { PresenceClient } from "presence-client";\n'
        'const client = new PresenceClient("http://x");\n'
        'const { peers } = await client.join("a", { userData: { b: 1 } });\n'
        "export const count: number = peers.length;\n"
    )
    options = "--noEmit --strict --skipLibCheck false --module nodenext --target es2022"
    options += " --lib es2022 --types presence-client"
    run("node", "node_modules/typescript/bin/tsc", *options.split(), "plain.mts", cwd=project)


def test_every_address_that_the_package_exports_is_in_it(project: Path) -> None:
    folder = project / "node_modules" / "presence-client"
    described = json.loads((folder / "package.json").read_text())
    assert described["version"] == VERSION

    def targets(value: object) -> list[str]:
        if isinstance(value, dict):
            return [target for inner in value.values() for target in targets(inner)]
        return [str(value)]

    for target in [*targets(described["exports"]), described["main"], described["types"]]:
        assert (folder / target).is_file(), target


def test_the_packages_are_the_same_bytes_whenever_they_are_made(tmp_path: Path) -> None:
    first = client_packages.javascript()
    client_packages.javascript.cache_clear()
    assert client_packages.javascript().content == first.content
    with tarfile.open(fileobj=io.BytesIO(first.content)) as packed:
        names = packed.getnames()
        assert {"package/package.json", "package/cjs/index.cjs", "package/index.d.ts"} <= {*names}
        assert len({member.mtime for member in packed.getmembers()}) == 1


def test_a_wheel_is_made_of_a_folder_and_installs(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text(
        '[project]\nname = "made-up"\nversion = "0"\nrequires-python = ">=3.11"\n'
        'dependencies = []\nreadme = "README.md"\n'
    )
    (tmp_path / "README.md").write_text("# Made up\n")
    (tmp_path / "made_up").mkdir()
    (tmp_path / "made_up" / "__init__.py").write_text("ANSWER = 42\n")
    (tmp_path / "made_up" / "py.typed").write_text("")
    name, files = client_packages.wheel_files(tmp_path, "1.2.3")
    assert name == "made_up-1.2.3-py3-none-any.whl"
    wheel = tmp_path / name
    wheel.write_bytes(client_packages._zip(files))
    with zipfile.ZipFile(wheel) as packed:
        assert packed.testzip() is None
    pip = [shutil.which("python3") or "python3", "-m", "pip", "install", "--no-index", "--quiet"]
    run(*pip, "--target", str(tmp_path / "there"), str(wheel), cwd=tmp_path)
    assert (tmp_path / "there" / "made_up" / "py.typed").is_file()
    assert (
        "Version: 1.2.3"
        in (tmp_path / "there" / "made_up-1.2.3.dist-info" / "METADATA").read_text()
    )


def test_the_page_says_how_to_install_what_the_server_has(live: LiveServer, browse: Browse) -> None:
    page = browse(f"{live.url}/clients")
    page.get_by_text(f"npm install {live.url}/clients/presence-client.tgz").wait_for()
    answer = requests.get(f"{live.url}/clients/presence-client.tgz", timeout=10)
    assert answer.content == client_packages.javascript().content
    again = {"If-None-Match": answer.headers["ETag"]}
    unchanged = requests.get(answer.url, headers=again, timeout=10)
    assert (unchanged.status_code, unchanged.content) == (304, b"")
    assert (
        requests.get(f"{live.url}/clients/other-1-py3-none-any.whl", timeout=10).status_code == 404
    )
    python = client_packages.python()
    if python is not None:
        page.get_by_text(f"pip install {live.url}/clients/{python.name}").wait_for()
        assert requests.get(f"{live.url}/clients/{python.name}", timeout=10).ok
