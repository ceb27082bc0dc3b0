"""Real proxies before one server, configured well and badly, and stock clients through them.

What was answered `delivered` arrives, and what cannot work says so within ten seconds.
"""

from __future__ import annotations

import re
from collections.abc import Generator
from contextlib import ExitStack
from types import SimpleNamespace
from typing import Any
from urllib.parse import urljoin

import pytest
import requests

from local_cluster import private_caddy, private_haproxy, private_nginx
from local_cluster.live_server import LiveServer
from local_cluster.private_caddy import PrivateCaddy
from local_cluster.private_haproxy import PrivateHaproxy
from local_cluster.private_nginx import PrivateNginx
from tests.proxies import slips
from tests.support.node import report_of
from tests.support.paths import ROOT
from tests.support.tus import Tus

MESSAGES = 20
Report = dict[str, dict[str, Any]]

_NGINX = private_nginx.DEPLOYED.read_text()
_BELOW = (ROOT / "deploy" / "nginx-below-a-path.conf").read_text()
# What stands in many a tutorial, and is not enough.
_BARE_NGINX = """
server {
    listen 80 default_server;
    location / {
        proxy_pass http://127.0.0.1:3001;
        proxy_set_header Host $http_host;
        %s
    }
}
"""
_CACHE = """
proxy_cache_path cache keys_zone=everything:1m;
"""


def bare(lines: str) -> str:
    return _BARE_NGINX % lines


def below(text: str) -> str:
    return "server {\n    listen 80 default_server;\n" + text + "\n}\n"


UPGRADE = (
    "proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade;"
    " proxy_set_header Connection $http_connection;"
)
HAPROXY = private_haproxy.DEPLOYED.read_text()
CADDY = private_caddy.DEPLOYED.read_text()
HAPROXY_BELOW = re.sub(
    r"# (http-request (?:set-header X-Forwarded-Prefix|replace-path))", r"\1", HAPROXY
)
GOOD: dict[str, tuple[type, str, str]] = {
    "nginx": (PrivateNginx, _NGINX, ""),
    "nginx, below a path": (PrivateNginx, below(_BELOW), "/presence"),
    "nginx, below a path that it takes off": (
        PrivateNginx,
        below(_BELOW.replace("127.0.0.1:3001;\n", "127.0.0.1:3001/;\n", 1)),
        "/presence",
    ),
    "Caddy": (PrivateCaddy, CADDY, ""),
    "Caddy, below a path": (PrivateCaddy, private_caddy.below_a_path(CADDY), "/presence"),
    "HAProxy": (PrivateHaproxy, HAPROXY, ""),
    "HAProxy, below a path": (PrivateHaproxy, HAPROXY_BELOW, "/presence"),
}
# Nothing but polling gets through these.
WITHOUT_WEBSOCKET: dict[str, tuple[type, str, str]] = {
    "nginx without the headers of an upgrade": (PrivateNginx, bare(""), ""),
    "nginx that speaks HTTP/1.1 and nothing of upgrades": (
        PrivateNginx,
        bare('proxy_http_version 1.1; proxy_set_header Connection "";'),
        "",
    ),
    "nginx that hands on Upgrade and not Connection": (
        PrivateNginx,
        bare(
            "proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade;"
            ' proxy_set_header Connection "";'
        ),
        "",
    ),
    "nginx that buffers": (PrivateNginx, bare("proxy_buffering on; proxy_buffers 8 4k;"), ""),
    "nginx that caches what it may": (
        PrivateNginx,
        _CACHE + bare("proxy_cache everything; proxy_cache_valid 200 1m;"),
        "",
    ),
}


@pytest.fixture(scope="module")
def urls(behind: LiveServer) -> Generator[dict[str, str]]:
    """The server's address through each of the proxies."""
    made = {}
    try:
        for name, (kind, configuration, path) in (GOOD | WITHOUT_WEBSOCKET).items():
            proxy = kind({"w1": behind.port}, configuration)
            made[name] = proxy, path
            proxy.start()
        yield {name: proxy.url + path for name, (proxy, path) in made.items()}
    finally:
        for proxy, _path in made.values():
            proxy.close()


@pytest.fixture(scope="module")
def told(urls: dict[str, str]) -> Report:
    """What stock clients met with through each of the proxies."""
    report = report_of("proxied.mjs", str(MESSAGES), *urls.values())
    return {name: report[url] for name, url in urls.items()}


def all_arrived(outcome: dict[str, Any], transport: str) -> bool:
    return outcome == {"delivered": MESSAGES, "lost": 0, "transport": transport}


def test_every_way_to_connect_works_through_what_deploy_has(told: Report) -> None:
    for name in GOOD:
        for way, transport in (("polling", "polling"), ("websocket", "websocket")):
            assert all_arrived(told[name][way], transport), (name, told[name])
        upgraded = told[name]["upgrade"]
        assert (upgraded.get("delivered"), upgraded.get("lost")) == (MESSAGES, 0), (name, upgraded)


def test_what_lets_no_websocket_through_says_so_and_loses_nothing(told: Report) -> None:
    for name in WITHOUT_WEBSOCKET:
        found = told[name]
        assert found["websocket"].get("error", "silence") != "silence", (name, found)
        for way in ("polling", "upgrade"):
            assert all_arrived(found[way], "polling"), (name, found)


def test_a_slip_in_what_deploy_has_is_told_and_loses_nothing(behind: LiveServer) -> None:
    slips.try_all({"w1": behind.port}, slips.FOR_ONE)


LOST = below(f"location /presence/ {{ proxy_pass http://127.0.0.1:3001; {UPGRADE} }}")
UNTOLD = LOST.replace("3001;", "3001/;")


def test_a_client_shows_what_got_lost_on_the_way(behind: LiveServer) -> None:
    with ExitStack() as stack:
        urls = []
        for configuration in (LOST, UNTOLD):
            nginx = PrivateNginx({"w1": behind.port}, configuration)
            stack.callback(nginx.close)
            urls.append(nginx.start().url)
        lost, untold = (f"{url}/presence" for url in urls)
        report = report_of("proxied.mjs", str(MESSAGES), lost, untold)
    for way in ("polling", "upgrade"):
        found = report[lost][way]
        assert (found["status"], "PRESENCE_PREFIX=/presence" in found["says"]) == (404, True), found
    assert "PRESENCE_PREFIX=/presence" in behind.log_text()
    # A proxy that takes the path off and does not say so misleads pages, but no client.
    for way, outcome in report[untold].items():
        assert (outcome["delivered"], outcome["lost"]) == (MESSAGES, 0), (way, outcome)


def test_rest_files_and_pages_are_there_too(urls: dict[str, str]) -> None:
    for name in GOOD:
        url = urls[name]
        body = {"peer_id": "a", "username": "A"}
        joined = requests.post(f"{url}/api/webrtc/rooms/r/join", json=body, timeout=10)
        assert joined.status_code == 200, (name, joined.text)
        form = {"room_name": "r", "peer_id": "a"}
        # More than nginx lets through by itself.
        large = {"file": ("large.txt", b"words " * 300_000)}
        stored = requests.post(f"{url}/api/webrtc/upload", data=form, files=large, timeout=30)
        assert stored.status_code == 200, (name, stored.text)
        assert requests.get(url + stored.json()["file_url"], timeout=10).ok, name
        page = requests.get(f"{url}/rooms?name=r", timeout=10)
        assert (page.status_code, page.url) == (200, f"{url}/rooms/r"), name
        style = requests.get(f"{url}/static/css/base.css", timeout=10)
        assert style.status_code == 200, name
        # Nobody chooses for it where it believes to stand.
        forged = requests.get(f"{url}/", headers={"X-Forwarded-Prefix": "/forged"}, timeout=10)
        assert "forged" not in forged.text, name
        assert requests.get(f"{url}/api/webrtc/rooms/caf%E9", timeout=10).status_code == 400, name


def test_a_file_in_pieces_goes_through(urls: dict[str, str]) -> None:
    content = b"words " * 50_000
    for name in GOOD:
        url = urls[name]
        body = {"peer_id": "alice", "username": "A"}
        requests.post(f"{url}/api/webrtc/rooms/pieces/join", json=body, timeout=10)
        begun = Tus(SimpleNamespace(url=url), "pieces").create(len(content))  # type: ignore[arg-type]
        # As clients of tus read it: a reference from the address that they asked.
        where = urljoin(url, begun.headers["Location"])
        tus = Tus(SimpleNamespace(url=url), "pieces")  # type: ignore[arg-type]
        for at in range(0, len(content), 100_000):
            sent = tus.send(where, at, content[at : at + 100_000])
            assert sent.status_code == 204, (name, sent.text)
        assert requests.get(where, timeout=10).json()["file_size"] == len(content), name
