"""IPv6 like IPv4: what HOST may be, where the server listens, and by which names it is called."""

from __future__ import annotations

import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import requests

from local_cluster.live_server import LiveServer
from presence.config import InvalidSetting, Settings
from presence.transport.admission.hosts_and_origins import whereabouts
from tests.support import needs
from tests.support.clients import PythonClient

WAYS = {
    "python app.py": [sys.executable, "app.py"],
    "flask run": [sys.executable, "-m", "flask", "run"],
}
NewServer = Callable[..., LiveServer]
# One address, in the ways in which people write it.
LOOPBACK = ("::1", "[::1]", "0:0:0:0:0:0:0:1", "[0000:0000::0001]", "::0:1")


@pytest.mark.parametrize(
    ("written", "address", "authority", "said"),
    [
        *((form, "::1", "[::1]:3001", "[::1]") for form in LOOPBACK),
        ("::", "::", "[::]:3001", "[::1]"),
        ("[::]", "::", "[::]:3001", "[::1]"),
        ("2001:DB8::7", "2001:db8::7", "[2001:db8::7]:3001", "[2001:db8::7]"),
        ("10.0.0.7", "10.0.0.7", "10.0.0.7:3001", "10.0.0.7"),
        ("0.0.0.0", "0.0.0.0", "0.0.0.0:3001", "127.0.0.1"),
        ("localhost", "localhost", "localhost:3001", "localhost"),
        ("a_b-1.example.org", "a_b-1.example.org", "a_b-1.example.org:3001", "a_b-1.example.org"),
    ],
)  # fmt: skip
def test_host_may_be_written_as_people_write_it(
    written: str, address: str, authority: str, said: str
) -> None:
    settings = Settings(host=written)
    assert settings.address == address
    assert settings.authority == authority
    assert whereabouts(settings) == f"http://{said}:3001/"


@pytest.mark.parametrize(
    "written",
    ["[::1]:3001", "127.0.0.1:3001", "http://[::1]", "http://a.example", "::1, ::", "0.0.0.0,::1",
     "[::1", "::1]", "[]", ":::", "fe80::1%eth0", "[fe80::1%lo]", "*", "unix:/run/x", "a b", "[a]",
     "/run/x.sock", "1:2:3:4:5:6:7:8:9"],
)  # fmt: skip
def test_what_is_no_address_is_refused_with_a_sentence(written: str) -> None:
    with pytest.raises(InvalidSetting, match="HOST must be one address or name to listen on"):
        Settings(host=written)


def ipv6() -> None:
    """Skip the test where this machine has no IPv6."""
    with socket.socket(socket.AF_INET6) as probe:
        try:
            probe.bind(("::1", 0))
        except OSError:
            needs.missing("an IPv6 loopback", "switch IPv6 on (net.ipv6.conf.lo.disable_ipv6=0)")


def serves(server: LiveServer) -> None:
    """Try what a client does, over IPv6."""
    for transport in ("polling", "websocket"):
        client = PythonClient(server.url, [transport])
        message = {"room_name": transport, "peer_id": "a", "username": "A"}
        assert client.call("join_room", message)["active_peers"] == 1
        client.disconnect()


@pytest.mark.parametrize(
    ("way", "host"),
    [("python app.py", "[::1]"), ("python app.py", "::"), ("flask run", "[::1]")],
)
def test_each_way_to_start_listens_there(tmp_path: Path, way: str, host: str) -> None:
    ipv6()
    server = LiveServer(tmp_path, command=WAYS[way], HOST=host)
    try:
        serves(server.start())
        assert server.url in server.log_text()
        assert "Traceback" not in server.log_text()
    finally:
        server.kill()


def test_a_server_on_every_address_answers_on_both_and_only_to_its_names(
    new_server: NewServer,
) -> None:
    ipv6()
    server = new_server(
        HOST="[::]",
        PRESENCE_ALLOWED_HOSTS="0:0:0:0:0:0:0:1, 127.0.0.1, [2001:DB8::7]:3001",
        PRESENCE_ALLOWED_ORIGINS="https://app.example.org",
        PRESENCE_REQUESTS_PER_MINUTE=40,
    )
    assert f"Presence is ready: http://[::1]:{server.port}/" in server.log_text()
    assert f"Listening at: http://[::]:{server.port}" in server.log_text()
    serves(server)

    def status(host: str, origin: str | None = None, path: str = "/api/openapi.json") -> int:
        headers = {"Host": host, **({"Origin": origin} if origin else {})}
        return requests.get(server.url + path, headers=headers, timeout=10).status_code

    called: dict[str, Any] = {
        "[::1]": 200, f"[::1]:{server.port}": 200, "[0:0:0:0:0:0:0:1]:80": 200, "127.0.0.1": 200,
        "[2001:db8::7]": 200, "[2001:DB8:0::7]:443": 200,
        "[::2]": 400, "[2001:db8::8]": 400, "[::ffff:127.0.0.1]": 400, "evil.example": 400,
        "[": 400, "[]": 400, "[::1]x": 400, "[::1]:x": 400, "[" + "1:" * 100 + "]": 400,
    }  # fmt: skip
    assert {host: status(host) for host in called} == called
    own = f"[::1]:{server.port}"
    assert status(own, f"http://{own}") == 200
    assert status(own, f"http://[::2]:{server.port}") == 403

    # An IPv4 client of such a socket is shown as ::ffff:127.0.0.1, and is the same as ever.
    def asked(host: str, count: int) -> list[int]:
        address = f"http://{host}:{server.port}/api/webrtc/rooms"
        return [requests.get(address, timeout=10).status_code for _ in range(count)]

    assert asked("127.0.0.1", 41).count(200) == 40
    assert 200 in asked("[::1]", 1), "the two are counted apart"
