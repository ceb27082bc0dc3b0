"""What goes wrong in a proxy's configuration, as a change of one that is right.

Each slip says it in each proxy's own words, and works before one server and before several workers.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any

from local_cluster import private_caddy, private_haproxy, private_nginx
from local_cluster.private_caddy import PrivateCaddy
from local_cluster.private_haproxy import PrivateHaproxy
from local_cluster.private_nginx import PrivateNginx
from tests.support.node import report_of

KINDS: dict[str, type] = {"nginx": PrivateNginx, "Caddy": PrivateCaddy, "HAProxy": PrivateHaproxy}
FOR_ONE = {
    "nginx": private_nginx.DEPLOYED.read_text(),
    "Caddy": private_caddy.DEPLOYED.read_text(),
    "HAProxy": private_haproxy.DEPLOYED.read_text(),
}
FOR_SEVERAL = FOR_ONE | {"Caddy": private_caddy.for_several(FOR_ONE["Caddy"])}

# Bytes that a request may have, and seconds that a connection may be silent for.
LIMIT, PATIENCE = 8192, 2

Change = Callable[[str], str]


def _instead(pattern: str, replacement: str) -> Change:
    def change(configuration: str) -> str:
        changed, times = re.subn(pattern, replacement, configuration, flags=re.MULTILINE)
        assert times, f"{pattern} is in no line of it"
        return changed

    return change


def _in_nginx(line: str) -> Change:
    return _instead(r"^    proxy_http_version 1\.1;$", rf"\g<0>\n    {line}")


def _in_caddy(lines: str) -> Change:
    return _instead(r"^\trequest_header -X-Forwarded-Prefix$", rf"\g<0>\n\t{lines}")


def _in_haproxy(line: str) -> Change:
    return _instead(r"^    bind :80$", rf"\g<0>\n    {line}")


# Nothing but polling gets through these.
WITHOUT_WEBSOCKET: dict[str, dict[str, Change]] = {
    "takes Upgrade away": {
        "nginx": _instead(r"^    proxy_set_header Upgrade .*$", '    proxy_set_header Upgrade "";'),
        "Caddy": _in_caddy("request_header -Upgrade"),
        "HAProxy": _in_haproxy("http-request del-header Upgrade"),
    },
    "takes Connection away": {
        "nginx": _instead(
            r"^    proxy_set_header Connection .*$", '    proxy_set_header Connection "";'
        ),
        "Caddy": _in_caddy("request_header -Connection"),
    },
    "lets no WebSocket in": {
        "nginx": _in_nginx("if ($http_upgrade) { return 403; }"),
        "Caddy": _in_caddy("@upgrade header Upgrade *\n\trespond @upgrade 403"),
        "HAProxy": _in_haproxy("http-request deny if { req.hdr(Upgrade) -m found }"),
    },
}
# All gets through these that fits: what polling sends at once may not.
LIMITED: dict[str, dict[str, Change]] = {
    "limits bodies": {
        "nginx": _instead(r"^    client_max_body_size 0;$", f"    client_max_body_size {LIMIT};"),
        "Caddy": _in_caddy(f"request_body {{\n\t\tmax_size {LIMIT}\n\t}}"),
        "HAProxy": _in_haproxy(
            f"http-request deny deny_status 413 if {{ req.hdr_val(content-length) gt {LIMIT} }}"
        ),
    }
}
# Whoever says nothing for longer than this is cut off.
IMPATIENT: dict[str, dict[str, Change]] = {
    "does not wait": {
        "nginx": _instead(r"(proxy_(read|send)_timeout) 60s", rf"\1 {PATIENCE}s"),
        "HAProxy": _instead(r"^(    timeout (client|server|tunnel)) 60s$", rf"\1 {PATIENCE}s"),
    }
}
# These change nothing for a client.
HARMLESS: dict[str, dict[str, Change]] = {
    "compresses": {
        "nginx": _in_nginx("gzip on; gzip_proxied any; gzip_types *; gzip_min_length 1;"),
        "Caddy": _in_caddy("encode gzip"),
        "HAProxy": _in_haproxy("compression algo gzip"),
    },
    "buffers": {"nginx": _instead(r"proxy_buffering off", "proxy_buffering on")},
    "caches what it may": {
        "nginx": lambda configuration: (
            "proxy_cache_path cache keys_zone=everything:1m;\n"
            + _in_nginx("proxy_cache everything; proxy_cache_valid 200 1m;")(configuration)
        )
    },
}
# Where a proxy that is right is asked for it: below a path of which nobody has told the server.
LOST = "/presence"


_MESSAGES = 20
_Told = dict[str, dict[str, Any]]


def try_all(ports: dict[str, int], right: dict[str, str]) -> None:
    """Connect through proxies with each of the slips, and hold what clients meet with to it.

    `ports` are those of the workers behind them, by name, `right` the configurations that each slip
    changes one thing of.
    """
    with ThreadPoolExecutor(5) as pool:
        # Most of it is waiting for what does not come.
        without, harmless, limited, impatient, lost = pool.map(
            lambda tried: _met_with(ports, right, *tried),
            (
                (WITHOUT_WEBSOCKET, f"{_MESSAGES}"),
                (HARMLESS, f"{_MESSAGES}"),
                (LIMITED, f"{_MESSAGES}x1000"),
                # A ping may come in the middle of the silence.
                (IMPATIENT, f"{_MESSAGES}+{int(1000 * PATIENCE * 2.5)}"),
                ({"leads elsewhere": dict.fromkeys(KINDS, str)}, f"{_MESSAGES}", LOST),
            ),
        )
    for name, told in without:
        assert told["websocket"].get("error", "silence") != "silence", (name, told)
        for way in ("polling", "upgrade"):
            assert _all_arrived(told[way]), (name, told)
            assert told[way]["transport"] == "polling", (name, told)
    for name, told in harmless:
        assert all(_all_arrived(told[way]) for way in told), (name, told)
    # One request of polling carries more than the limit, a message of a WebSocket has none.
    for name, told in limited:
        assert _all_arrived(told["websocket"]), (name, told)
        found = told["polling"]
        assert found["cut"]["reason"] == "transport error", (name, found)
        assert found["cut"]["status"] in (413, 502, 503), (name, found)
        assert found["delivered"] < _MESSAGES, "nothing was said to be delivered that is not"
        assert found["lost"] == 0, (name, found)
    for name, told in impatient:
        for way, found in told.items():
            assert found["cut"]["reason"] in ("transport error", "transport close"), (name, found)
            assert (found["delivered"], found["lost"]) == (_MESSAGES // 2, 0), (name, way, found)
    for name, told in lost:
        for way in ("polling", "upgrade"):
            found = told[way]
            assert f"PRESENCE_PREFIX={LOST}" in (found["says"] or ""), (name, found)
        assert told["websocket"].get("error", "silence") != "silence", (name, told)


def _met_with(
    ports: dict[str, int],
    right: dict[str, str],
    slips: dict[str, dict[str, Change]],
    messages: str,
    path: str = "",
) -> list[tuple[str, _Told]]:
    """Return what stock clients met with through a proxy with each slip, by a name for it."""
    with ExitStack() as stack:
        urls = {}
        for slip, changes in slips.items():
            for proxy, change in changes.items():
                made = KINDS[proxy](ports, change(right[proxy]))
                stack.callback(made.close)
                urls[f"{proxy} that {slip}"] = made.start().url + path
        report = report_of("proxied.mjs", messages, *urls.values())
    return [(name, report[url]) for name, url in urls.items()]


def _all_arrived(outcome: dict[str, Any]) -> bool:
    return (outcome.get("delivered"), outcome.get("lost")) == (_MESSAGES, 0)
