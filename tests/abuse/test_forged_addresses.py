"""Whose address a request counts for: nobody can choose it, behind no proxy, one or two."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import requests

from local_cluster.live_server import LiveServer
from presence.transport.admission.client_addresses import address_of
from tests.support.streams import WebSocketStream

NewServer = Callable[..., LiveServer]
LIMIT = 5


def forwarded(proxies: int, claim: str) -> str:
    """What reaches the server when a client that claims something comes through proxies.

    The last proxy's own address is not in it: that is where the connection comes from.
    """
    return ", ".join([claim, *["198.51.100.7", "10.0.0.2"][:proxies]])


@pytest.mark.parametrize("proxies", [0, 1, 2])
def test_a_client_that_claims_a_new_address_each_time_is_still_one_client(
    new_server: NewServer, proxies: int
) -> None:
    server = new_server(
        PRESENCE_TRUSTED_PROXIES=proxies,
        PRESENCE_REQUESTS_PER_MINUTE=LIMIT,
        PRESENCE_CONNECTS_PER_MINUTE=LIMIT,
    )
    statuses, opened = [], []
    for number in range(LIMIT + 2):
        chain = forwarded(proxies, f"203.0.113.{number}")
        for header in ({"X-Forwarded-For": chain}, {"X-Forwarded-For": f"evil, {chain}"}):
            others = {
                "Forwarded": f"for=203.0.113.{number}",
                "X-Real-IP": f"203.0.113.{number}",
                "X-Client-IP": f"203.0.113.{number}",
            }
            answer = requests.get(
                f"{server.url}/api/webrtc/rooms", headers=header | others, timeout=10
            )
            statuses.append(answer.status_code)
            opened.append(
                WebSocketStream(server, forwarded=header["X-Forwarded-For"], admitted=False).status
            )
    assert set(statuses[-LIMIT:]) == {429}
    assert statuses.count(200) <= LIMIT + 2
    assert set(opened[-LIMIT:]) == {429}
    assert LIMIT <= opened.count(101) <= LIMIT + 2


@pytest.mark.parametrize("proxies", [1, 2])
def test_clients_behind_the_same_proxies_are_told_apart(
    new_server: NewServer, proxies: int
) -> None:
    server = new_server(PRESENCE_TRUSTED_PROXIES=proxies, PRESENCE_REQUESTS_PER_MINUTE=3)
    for number in range(3):
        chain = ", ".join([f"198.51.100.{number}", "10.0.0.2"][:proxies])
        header = {"X-Forwarded-For": chain}
        answers = [
            requests.get(f"{server.url}/api/webrtc/rooms", headers=header, timeout=10).status_code
            for _ in range(6)
        ]
        assert (answers[:3], answers[-1]) == ([200] * 3, 429)


def test_a_forgotten_proxy_is_pointed_out_once(new_server: NewServer) -> None:
    server = new_server(PRESENCE_CONNECTS_PER_MINUTE=1)
    for number in range(4):
        WebSocketStream(server, forwarded=f"203.0.113.{number}", admitted=False)
    assert server.log_text().count("PRESENCE_TRUSTED_PROXIES") == 1


def test_headers_cannot_change_the_scheme_the_host_or_the_path(new_server: NewServer) -> None:
    server = new_server(PRESENCE_TRUSTED_PROXIES=0)
    answer = requests.get(
        f"{server.url}/api/webrtc/rooms",
        headers={
            "X-Forwarded-Proto": "https",
            "X-Forwarded-Ssl": "on",
            "X-Forwarded-Host": "evil.example",
            "X-Forwarded-Prefix": "/evil",
            "SCRIPT_NAME": "/evil",
            "PATH_INFO": "/evil",
        },
        timeout=10,
    )
    assert (answer.status_code, answer.json()) == (200, {})


@pytest.mark.parametrize(
    ("shown", "counted"),
    [
        ("203.0.113.9", "203.0.113.9"),
        ("::ffff:203.0.113.9", "203.0.113.9"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff::1", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", "unknown"),
        (None, "unknown"),
        ("x" * 5000, "unknown"),
    ],
)
def test_neighbouring_addresses_of_one_network_count_as_one(shown: Any, counted: str) -> None:
    assert address_of({"REMOTE_ADDR": shown}) == counted


@pytest.mark.parametrize(
    "written",
    [
        "{}",
        "{}:4711",
        '"{}"',
        '"{}:4711"',
        " {} ",
    ],
)
@pytest.mark.parametrize("address", ["203.0.113.9", "[2001:db8:1:2::9]"])
def test_an_address_counts_as_one_however_a_proxy_writes_it(written: str, address: str) -> None:
    expected = "203.0.113.9" if "." in address else "2001:db8:1:2::/64"
    assert address_of({"REMOTE_ADDR": written.format(address)}) == expected


def test_ipv6_is_known_without_brackets_and_with_a_zone() -> None:
    for written in ("2001:db8:1:2::9", "2001:db8:1:2::8%eth0", "[2001:db8:1:2::7%eth0]:99"):
        assert address_of({"REMOTE_ADDR": written}) == "2001:db8:1:2::/64"
    assert address_of({"REMOTE_ADDR": "[::ffff:203.0.113.9]:80"}) == "203.0.113.9"


@pytest.mark.parametrize("name", ["unknown", "_hidden", "_1", "_2", "", "a" * 100_000, "[" * 9999])
def test_whoever_hides_its_address_is_one_with_all_who_do(name: str) -> None:
    assert address_of({"REMOTE_ADDR": name}) == "unknown"
