"""Real proxies before three workers, configured well and badly, and stock clients through them.

What the workers have acknowledged is there, also when one of them is killed; what cannot work says
why within ten seconds.
"""

from __future__ import annotations

import json
import re
from collections.abc import Generator
from contextlib import ExitStack
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin

import pytest
import requests

from local_cluster import private_caddy, private_haproxy
from local_cluster.private_caddy import PrivateCaddy
from local_cluster.private_cluster import PrivateCluster
from local_cluster.private_haproxy import PrivateHaproxy
from local_cluster.private_nginx import PrivateNginx
from local_cluster.private_postgresql import PrivatePostgresql
from tests.proxies import slips
from tests.support.node import report_of, running
from tests.support.rest import Rest
from tests.support.tus import Tus
from tests.support.visitors import Visitor

if TYPE_CHECKING:
    from playwright.sync_api import Browser

MESSAGES = 20
# How much each pair sends after a worker was killed.
AFTERWARDS = 8
CADDY = private_caddy.DEPLOYED.read_text()
HAPROXY = private_haproxy.DEPLOYED.read_text()
GOOD: dict[str, tuple[type, str | None]] = {
    "nginx": (PrivateNginx, None),
    "Caddy": (PrivateCaddy, private_caddy.for_several(CADDY)),
    "HAProxy": (PrivateHaproxy, None),
}
# Each request to the next worker: what every proxy does unless it is told of the ids.
IN_TURN: dict[str, tuple[type, str | None]] = {
    "nginx": (
        PrivateNginx,
        """
upstream anywhere {
    server 127.0.0.1:3001;
}
server {
    listen 80 default_server;
    location / {
        proxy_pass http://anywhere;
        proxy_http_version 1.1;
        proxy_set_header Host $http_host;
        proxy_set_header Upgrade $http_upgrade;
        proxy_set_header Connection $http_connection;
    }
}
""",
    ),
    "Caddy": (
        PrivateCaddy,
        """
presence.example.org {
	reverse_proxy 127.0.0.1:3001 127.0.0.1:3002 127.0.0.1:3003 {
		lb_policy round_robin
	}
}
""",
    ),
    "HAProxy": (
        PrivateHaproxy,
        re.sub(r"(?m)^    use_backend .*\n", "", HAPROXY).replace("leastconn", "roundrobin"),
    ),
}
NAMED = re.compile(r"is the worker w\d's, and the request came to the worker w\d\.")


@pytest.fixture(scope="module")
def workers(postgresql: PrivatePostgresql) -> Generator[PrivateCluster]:
    """Three workers of this module's own, one of which is killed at its end."""
    made = PrivateCluster(postgresql).start()
    yield made
    made.close()


def proxied(
    workers: PrivateCluster, proxies: dict[str, tuple[type, str | None]]
) -> Generator[dict[str, str]]:
    """Start proxies before the workers; yields their addresses by their names."""
    ports = {worker.name: worker.port for worker in workers.workers}
    with ExitStack() as stack:
        made = {}
        for name, (kind, configuration) in proxies.items():
            made[name] = kind(ports, configuration)
            stack.callback(made[name].close)
            made[name].start()
        yield {name: proxy.url for name, proxy in made.items()}


@pytest.fixture(scope="module")
def urls(workers: PrivateCluster) -> Generator[dict[str, str]]:
    """The address of the workers through each proxy, as deploy/ has it."""
    yield from proxied(workers, GOOD)


@pytest.fixture(scope="module")
def in_turn(workers: PrivateCluster) -> Generator[dict[str, str]]:
    """The address of the workers through proxies that know nothing of their names."""
    yield from proxied(workers, IN_TURN)


def test_every_way_to_connect_works_through_what_deploy_has(urls: dict[str, str]) -> None:
    report = report_of("proxied.mjs", str(MESSAGES), *urls.values())
    for name, url in urls.items():
        for way, outcome in report[url].items():
            assert (outcome.get("delivered"), outcome.get("lost")) == (MESSAGES, 0), (name, way)


def test_the_pieces_of_a_file_find_the_worker_that_has_the_first(
    urls: dict[str, str], workers: PrivateCluster
) -> None:
    Rest(workers).join("pieces", "alice")  # type: ignore[arg-type]
    content = b"words " * 20_000
    for name, url in urls.items():
        tus = Tus(SimpleNamespace(url=url), "pieces")  # type: ignore[arg-type]
        for _ in range(3):
            where = urljoin(url, tus.create(len(content)).headers["Location"])
            for at in range(0, len(content), 60_000):
                sent = tus.send(where, at, content[at : at + 60_000])
                assert sent.status_code == 204, (name, sent.text)
            assert requests.get(where, timeout=10).json()["file_size"] == len(content), name


def test_what_sends_requests_anywhere_lets_websockets_through_and_else_says_so(
    in_turn: dict[str, str], workers: PrivateCluster
) -> None:
    report = report_of("proxied.mjs", str(MESSAGES), *in_turn.values())
    for name, url in in_turn.items():
        found = report[url]
        assert (found["websocket"].get("delivered"), found["websocket"].get("lost")) == (20, 0)
        for way in ("polling", "upgrade"):
            # The error is none of patience: it came within ten seconds.
            assert found[way].get("error", "silence") != "silence", (name, found)
            assert NAMED.search(found[way]["says"] or ""), (name, found)
    assert NAMED.search(workers.log_text())


def test_a_slip_in_what_deploy_has_is_told_and_loses_nothing(workers: PrivateCluster) -> None:
    ports = {worker.name: worker.port for worker in workers.workers}
    slips.try_all(ports, slips.FOR_SEVERAL)


def test_the_doctor_names_what_sends_requests_anywhere(
    chromium: Browser, in_turn: dict[str, str]
) -> None:
    visitor = Visitor(chromium, in_turn["nginx"])
    try:
        visitor.open("/doctor")
        card = visitor.page.locator("#check-polling[data-state=failed]")
        card.wait_for(timeout=20_000)
        assert NAMED.search(card.locator("[data-found]").inner_text())
        remedy = card.locator("[data-remedy]").inner_text()
        assert all(line in remedy for line in ("deploy/nginx.conf", "url_param(sid)", "@w1"))
    finally:
        visitor.close()


def test_nothing_acknowledged_is_lost_when_a_worker_is_killed(
    urls: dict[str, str], workers: PrivateCluster
) -> None:
    victim, *others = reversed(workers.workers)
    with running("outliving.mjs", str(AFTERWARDS), *urls.values()) as node:
        assert node.stdin
        assert node.stdout
        assert node.stdout.readline() == "sending\n"
        victim.kill()
        print(victim.name, file=node.stdin, flush=True)
        pairs: list[dict[str, Any]] = json.loads(node.stdout.readline())
    assert any(victim.name in pair["workers"] for pair in pairs)
    for pair in pairs:
        assert (pair["lost"], pair["silent"]) == (0, 0), pair
        assert pair["updated"] >= AFTERWARDS, pair
        # Those that were held for who was coming back count among the lost ones if they were.
        assert pair["delivered"] + pair["held"] >= AFTERWARDS, pair
        # From one answer to the next, and through the loss of the worker in between.
        assert pair["away"] < 10_000, pair
        ann = Rest(others[0]).peer(pair["room"], "ann")
        assert ann["user_data"]["n"] >= pair["updated"], pair
    slowest = max(pair["away"] for pair in pairs) / 1000
    print(f"{sum(pair['delivered'] for pair in pairs)} signals delivered, back in {slowest:.1f} s")


def test_a_proxy_whose_workers_are_all_away_says_so(
    urls: dict[str, str], workers: PrivateCluster
) -> None:
    for worker in workers.workers:
        worker.kill()
    for name, url in urls.items():
        poll = f"{url}/socket.io/?EIO=4&transport=polling&sid=w1.x"
        answer = requests.get(poll, timeout=10)
        assert (answer.status_code, answer.json()["code"]) == (503, "unavailable"), name
        assert "Try again" in answer.json()["detail"], name
        assert answer.headers["Retry-After"], name
