"""The doctor names the slip of a real proxy, and gives the lines that mend it."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

from local_cluster.live_server import LiveServer
from local_cluster.private_nginx import PrivateNginx
from tests.support.visitors import Visitor

if TYPE_CHECKING:
    from playwright.sync_api import Browser

_CACHE = "proxy_cache_path cache keys_zone=everything:1m;\n"
_SITE = """
server {
    listen 80 default_server;
    location %s { proxy_set_header Host $http_host; %s }
}
"""
_PASS = "proxy_pass http://127.0.0.1:3001;"
_UPGRADE = "proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade;"
_BOTH = f"{_UPGRADE} proxy_set_header Connection $http_connection;"
_KEEPS = (
    "proxy_cache everything; proxy_cache_valid 200 1m; proxy_ignore_headers Cache-Control;"
    " proxy_cache_key $request_uri;"
)

# By what is wrong: the site, the page's path, and of each check its state, words and remedy.
Found = dict[str, tuple[str, str, str]]
SLIPS: dict[str, tuple[str, str, Found]] = {
    "nothing but proxy_pass": (
        _SITE % ("/", _PASS),
        "/doctor",
        {
            "websocket": ("failed", "headers Upgrade and Connection", "$http_upgrade"),
            "buffering": ("attention", "came at once", "proxy_buffering off"),
            "upload": ("failed", "413 with a web page", "client_max_body_size"),
        },
    ),
    "Upgrade without Connection": (
        _SITE % ("/", f"{_PASS} {_UPGRADE} client_max_body_size 0; proxy_buffering off;"),
        "/doctor",
        {
            "websocket": ("failed", "header Connection", "Connection"),
            "buffering": ("ok", "as they are sent", ""),
            "upload": ("ok", "", ""),
        },
    ),
    "a cache": (
        _CACHE + _SITE % ("/", f"{_PASS} {_BOTH} {_KEEPS}"),
        "/doctor",
        {"caching": ("failed", "the same id", "proxy_cache off")},
    ),
    "a path that is taken off": (
        _SITE % ("/presence/", _PASS.replace("3001", "3001/")),
        "/presence/doctor",
        {
            "prefix": ("failed", "below /presence", "X-Forwarded-Prefix"),
            "rest": ("skipped", "Mend the address first", ""),
        },
    ),
    "nothing": (
        _SITE % ("/", f"{_PASS} {_BOTH} client_max_body_size 0; proxy_buffering off;"),
        "/doctor",
        dict.fromkeys(("prefix", "rest", "websocket", "caching", "upload"), ("ok", "", "")),
    ),
}


def test_every_slip_of_a_proxy_is_named_with_the_lines_that_mend_it(
    chromium: Browser, behind: LiveServer
) -> None:
    with ExitStack() as stack:
        # All at once: most of a visit is waiting.
        visitors = {}
        for name, (site, path, _found) in SLIPS.items():
            proxy = PrivateNginx({"w1": behind.port}, site)
            stack.callback(proxy.close)
            proxy.start()
            visitors[name] = Visitor(chromium, proxy.url)
            stack.callback(visitors[name].close)
            visitors[name].open(path)
        for name, (_site, _path, found) in SLIPS.items():
            page = visitors[name].page
            page.locator("#copy-report:enabled").wait_for(timeout=90_000)
            for check, (state, says, line) in found.items():
                card = page.locator(f"#check-{check}")
                text = card.locator("[data-found]").inner_text()
                assert card.get_attribute("data-state") == state, (name, check, text)
                assert says in text, (name, check, text)
                if line:
                    remedy = card.locator("[data-remedy]")
                    assert line in remedy.inner_text(), (name, check)
                    shown = remedy.locator("dt").all_inner_texts()
                    assert shown == ["nginx", "Caddy", "Traefik", "HAProxy", "Cloudflare"]
