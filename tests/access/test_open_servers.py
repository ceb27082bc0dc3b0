"""An open server that names origins and hosts keeps its word: a page of elsewhere cannot write."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Generator
from typing import Any

import pytest
import requests
from playwright.sync_api import Browser

from local_cluster.live_server import LiveServer
from presence.config import InvalidSetting, Settings

ROOMS = "/api/webrtc/rooms"
JOIN = {"peer_id": "eve", "username": "Eve"}
OURS = "https://app.example.org"


@pytest.fixture(scope="module")
def named(tmp_path_factory: pytest.TempPathFactory) -> Generator[LiveServer]:
    """An open server that says which pages may call it, and by which names."""
    live = LiveServer(
        tmp_path_factory.mktemp("named"),
        PRESENCE_ALLOWED_ORIGINS=OURS,
        PRESENCE_ALLOWED_HOSTS="127.0.0.1,presence.example.org",
    ).start()
    yield live
    live.kill()


@pytest.fixture(scope="module")
def anybodys(tmp_path_factory: pytest.TempPathFactory) -> Generator[LiveServer]:
    """An open server that says nothing of the kind."""
    live = LiveServer(tmp_path_factory.mktemp("anybodys")).start()
    yield live
    live.kill()


def writes(server: LiveServer, **headers: str) -> list[requests.Response]:
    """Make every kind of request that changes something and that a page may send unasked."""
    form = {"room_name": "studio", "peer_id": "eve"}
    base = server.url + ROOMS
    simple = {"Content-Type": "text/plain", **headers}
    return [
        requests.post(f"{base}/studio/join", json=JOIN, headers=simple, timeout=10),
        requests.post(
            f"{base}/studio/update-data?peer_id=eve",
            json={"user_data": {"a": 1}},
            headers=simple,
            timeout=10,
        ),
        requests.post(
            f"{server.url}/api/webrtc/upload",
            data=form,
            files={"file": ("a.txt", b"hi")},
            headers=headers,
            timeout=10,
        ),
        requests.post(f"{base}/studio/leave?peer_id=eve", headers=simple, timeout=10),
    ]


@pytest.mark.parametrize(
    "origin",
    ["https://evil.example", "null", "http://127.0.0.1.evil.example", OURS + ".evil.example", "x"],
)
def test_no_page_of_elsewhere_writes_to_it(named: LiveServer, origin: str) -> None:
    for answer in writes(named, Origin=origin):
        assert (answer.status_code, answer.json()["code"]) == (403, "origin_refused")
    polling = f"{named.url}/socket.io/?EIO=4&transport=polling"
    assert requests.get(polling, headers={"Origin": origin}, timeout=10).status_code == 403
    assert "studio" not in requests.get(named.url + ROOMS, timeout=10).json()


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "localhost"])
def test_nobody_calls_it_by_a_foreign_name(named: LiveServer, host: str) -> None:
    for answer in writes(named, Host=host):
        assert (answer.status_code, answer.json()["code"]) == (400, "host_refused")


@pytest.mark.parametrize(
    ("origin", "host"),
    [
        (OURS, None),
        (OURS.upper(), None),
        ("http://{host}", "127.0.0.1:{port}"),
        ("ws://{host}", "127.0.0.1:{port}"),
        ("wss://presence.example.org", "presence.example.org"),
        ("https://PRESENCE.example.org", "presence.example.org:443"),
        ("https://presence.example.org:443", "Presence.Example.ORG"),
        ("http://presence.example.org:80", "presence.example.org"),
    ],
)
def test_the_same_place_is_known_however_it_is_written(
    named: LiveServer, origin: str, host: str | None
) -> None:
    own = f"127.0.0.1:{named.port}"
    headers = {"Origin": origin.format(host=own)}
    if host is not None:
        headers["Host"] = host.format(port=named.port)
    for answer in writes(named, **headers):
        assert answer.ok, (headers, answer.text)


def test_a_program_that_is_no_page_may_write(named: LiveServer) -> None:
    assert all(answer.ok for answer in writes(named))


def test_a_server_that_names_none_lets_every_page_in(anybodys: LiveServer) -> None:
    assert all(answer.ok for answer in writes(anybodys, Origin="https://evil.example"))


@pytest.mark.parametrize(
    "origin",
    ["app.example.org", "app.example.org:8080", "https://", "https://x.example/app", "*.x"],
)
def test_an_origin_that_no_browser_sends_stops_the_start(origin: str) -> None:
    with pytest.raises(InvalidSetting, match=r"PRESENCE_ALLOWED_ORIGINS.*https://app"):
        Settings(allowed_origins=f"{OURS},{origin}")


class Page(http.server.BaseHTTPRequestHandler):
    """A web site somewhere else."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(b"<!doctype html><title>Elsewhere</title>")

    def log_message(self, *_args: Any) -> None:
        """Say nothing."""


@pytest.fixture
def elsewhere() -> Generator[str]:
    """The address of a page of another origin."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Page)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()


_TRY = """async (server) => {
  const send = (path, body) =>
    fetch(server + path, { method: "POST", mode: "no-cors", body, headers: {} }).catch(() => null);
  await send("/api/webrtc/rooms/from-a-page/join", '{"peer_id": "eve", "username": "Eve"}');
  await send("/api/webrtc/rooms/from-a-page/update-data?peer_id=eve", '{"user_data": {"a": 1}}');
  const form = new FormData();
  form.append("room_name", "from-a-page");
  form.append("peer_id", "eve");
  form.append("file", new Blob(["hi"]), "a.txt");
  await send("/api/webrtc/upload", form);
  const address = server.replace("http", "ws") + "/socket.io/?EIO=4&transport=websocket";
  const socket = new WebSocket(address);
  return await new Promise((resolve) => {
    socket.onmessage = () => resolve("connected");
    socket.onclose = socket.onerror = () => resolve("refused");
  });
}"""


def test_a_real_page_of_elsewhere_can_do_nothing(
    named: LiveServer, elsewhere: str, chromium: Browser
) -> None:
    page = chromium.new_page()
    page.goto(elsewhere)
    assert page.evaluate(_TRY, named.url) == "refused"
    page.close()
    assert "from-a-page" not in requests.get(named.url + ROOMS, timeout=10).json()


def test_the_same_page_writes_where_no_origins_are_named(
    anybodys: LiveServer, elsewhere: str, chromium: Browser
) -> None:
    page = chromium.new_page()
    page.goto(elsewhere)
    assert page.evaluate(_TRY, anybodys.url) == "connected"
    page.close()
    peers = requests.get(f"{anybodys.url}{ROOMS}/from-a-page", timeout=10).json()["peers"]
    assert [(peer["user_data"], len(peer["uploaded_files"])) for peer in peers] == [({"a": 1}, 1)]
