"""Addresses that are not in UTF-8, and servers that stand below a path of a site."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import unquote_to_bytes

import pytest
from flask.testing import FlaskClient

from app import create_app
from presence.config import InvalidSetting, Settings
from presence.setting_values import OWN_PATHS, is_path

# Bytes that are no UTF-8: other encodings, halves and too much of a character, and surrogates.
NOT_UTF_8 = ["%E9", "%E8", "caf%E9", "%C3", "%A9", "%C3%28", "%F8%88%80%80%80", "%ED%A0%80", "%FF",
             "%C0%AF", "%E3%81", "%83%65%83%58"]  # fmt: skip
HTML = {"Accept": "text/html"}
UTF_8 = ["%C3%A9", "%E2%82%AC", "%F0%9F%98%80", "%25E9", "caf"]


@pytest.fixture
def make(tmp_path: Path) -> Callable[..., FlaskClient]:
    numbers = itertools.count()

    def app(**settings: Any) -> FlaskClient:
        folder = tmp_path / str(next(numbers))
        folder.mkdir()
        settings |= {"database_url": f"sqlite:///{folder}/p.db", "upload_dir": f"{folder}/uploads"}
        return create_app(Settings(**settings)).test_client()

    return app


@pytest.fixture
def client(make: Callable[..., FlaskClient]) -> FlaskClient:
    return make()


def ask(client: FlaskClient, path: str, query: str = "", method: str = "GET") -> Any:
    """Send a path and a query whose bytes stand there with per cent, as a server hands them on."""
    environ = {"PATH_INFO": unquote_to_bytes(path).decode("latin-1"), "QUERY_STRING": query}
    return client.open(method=method, environ_overrides=environ)


def routes(client: FlaskClient) -> list[tuple[str, str]]:
    """Return every path of the server with ``{}`` in the place of each part that may be chosen."""
    rules = client.application.url_map.iter_rules()
    return [
        (re.sub(r"<[^>]+>", "{}", rule.rule), sorted((rule.methods or set()) - {"OPTIONS"})[0])
        for rule in rules
    ]


def test_no_route_takes_a_name_that_is_not_in_utf_8(client: FlaskClient) -> None:
    answered = {}
    for number, (rule, method) in enumerate(
        [*routes(client), ("/socket.io/", "GET"), ("/x", "GET")]
    ):
        bad = NOT_UTF_8[number % len(NOT_UTF_8)]
        if "{}" in rule:
            answered[rule] = ask(client, rule.replace("{}", bad), method=method)
        for query in (f"peer_id={bad}", f"{bad}=1", f"a=%C3&b=%A9&{bad}", bad):
            answered[f"{rule}?{query}"] = ask(client, rule.replace("{}", "x"), query, method)
    assert len(answered) > 100
    for address, answer in answered.items():
        assert answer.status_code == 400, (address, answer.text)
        if answer.data:  # HEAD has none
            assert answer.json["code"] == "address_unreadable", address
            assert "%C3%A9" in answer.json["detail"]
    assert client.get("/api/webrtc/rooms").json == {}


def test_names_in_utf_8_are_as_they_ever_were(client: FlaskClient) -> None:
    for name in UTF_8:
        body = {"peer_id": "a", "username": "A"}
        joined = client.post(f"/api/webrtc/rooms/{name}/join", json=body)
        assert joined.status_code == 200, name
    assert len(client.get("/api/webrtc/rooms").json or {}) == len(UTF_8)
    assert ask(client, "/rooms", "name=%C3%A9").location == "/rooms/%C3%A9"


def test_a_server_below_a_path_names_and_answers_addresses_there(
    make: Callable[..., FlaskClient],
) -> None:
    behind = make(trusted_proxies=1)
    for prefix in ("/presence", "/~me/v1.0"):
        for stripped in (True, False):
            check_below(behind, prefix, {"X-Forwarded-Prefix": prefix}, stripped=stripped)
    alone = make(prefix="/a/b/")
    for stripped in (True, False):
        check_below(alone, "/a/b", {}, stripped=stripped)


def check_below(
    client: FlaskClient, prefix: str, headers: dict[str, str], *, stripped: bool
) -> None:
    """Try every kind of address below a prefix, as a proxy hands it on."""

    def get(path: str, **more: Any) -> Any:
        return client.get(path if stripped else prefix + path, headers=headers | more)

    for page in ("/", "/rooms/studio", "/doctor", "/doctor/elsewhere", "/docs/api", "/clients"):
        answer = get(page)
        assert answer.status_code == 200, page
        wrong = [own for own in (*OWN_PATHS, '"') if f'="/{own}' in answer.text]
        assert wrong == [], page
        assert f'data-base="{prefix}"' in answer.text
    assert get("/rooms?name=studio").location == f"{prefix}/rooms/studio"
    assert (get("/api/openapi.json").json or {})["servers"] == [{"url": prefix}]
    assert get("/api/asyncapi.json").json["servers"]["this"]["pathname"] == f"{prefix}/socket.io/"
    assert f"http://localhost{prefix}/clients/presence-client.tgz" in get("/clients").text
    assert f"http://localhost{prefix}/api/webrtc" in get("/docs/api").text
    assert get("/static/css/base.css").status_code == 200
    handshake = get("/socket.io/?EIO=4&transport=polling")
    assert handshake.text.startswith("0{")
    assert handshake.headers["Cache-Control"] == "no-store"
    assert get("/nothing", Accept="text/html").status_code == 404
    assert not str(get("//evil.example/x").location).startswith(("//", "http://evil"))
    # What looks whether it is well asks it directly.
    assert client.get("/healthz").status_code == 200


def test_a_prefix_is_believed_only_of_a_trusted_proxy_and_only_as_a_path(
    make: Callable[..., FlaskClient],
) -> None:
    alone, behind = make(), make(trusted_proxies=2)
    evil = ["//evil.example", "/\\evil.example", "https://evil.example", "/a/../b", "/..", "/.",
            "evil", "/a b", "/a?x", "/a#x", '/"onload="x', "/<b>", "/%2e", "/" + "a" * 600, "/a//b",
            "/a;b", "/é", "javascript:x", "/a\tb"]  # fmt: skip
    for claim in evil:
        assert not is_path(claim.rstrip("/"))
        header = {"X-Forwarded-Prefix": claim}
        answer = behind.get("/rooms?name=x", headers=header)
        assert (answer.status_code, (answer.json or {})["code"]) == (400, "prefix_refused"), claim
        assert alone.get("/rooms?name=x", headers=header).location == "/rooms/x"
        with pytest.raises(InvalidSetting, match="PRESENCE_PREFIX must be a path"):
            Settings(prefix=claim)
    located = {
        "/p": "/p",
        "/p/": "/p",
        "/": "",
        "/outer, /inner": "/outer/inner",
        "/forged, /outer, /inner": "/outer/inner",
        "//evil.example, /outer,": "/outer",
    }
    for told, prefix in located.items():
        answer = behind.get("/rooms?name=x", headers={"X-Forwarded-Prefix": told})
        assert answer.location == f"{prefix}/rooms/x", told
        assert "X-Forwarded-Prefix" in answer.headers["Vary"]
    # The setting is stronger than the header.
    answer = make(prefix="/own", trusted_proxies=1).get(
        "/rooms?name=x", headers={"X-Forwarded-Prefix": "/other"}
    )
    assert answer.location == "/own/rooms/x"


def test_a_prefix_is_none_of_the_paths_of_the_server(make: Callable[..., FlaskClient]) -> None:
    client = make(trusted_proxies=1)
    first = {rule.rule.split("/")[1] for rule in client.application.url_map.iter_rules()}
    assert first - {""} | {"socket.io"} == OWN_PATHS
    for name in OWN_PATHS:
        with pytest.raises(InvalidSetting, match=f"must not begin with /{name}"):
            Settings(prefix=f"/{name}/x")
    # A proxy that names one has taken it off.
    answer = client.get("/rooms?name=rooms", headers={"X-Forwarded-Prefix": "/rooms"})
    assert answer.location == "/rooms/rooms/rooms"


def test_what_stands_below_a_prefix_of_which_nobody_told_is_told_so(
    make: Callable[..., FlaskClient], caplog: pytest.LogCaptureFixture
) -> None:
    client, below = make(), make(prefix="/own")
    for prefix in ("/presence", "/a/b", "/~me/v1.0", "/apis"):
        for name in OWN_PATHS:
            for path in (f"{prefix}/{name}", f"{prefix}/{name}/", f"{prefix}/{name}/x/y"):
                answer: Any = client.get(path, query_string="EIO=4&transport=polling")
                assert (answer.status_code, answer.json["code"]) == (404, "prefix_unknown"), path
                assert f"PRESENCE_PREFIX={prefix}," in answer.json["detail"], path
                assert (below.get(path).json or {})["code"] == "not_found"
        page = client.get(f"{prefix}/doctor", headers=HTML)
        assert page.mimetype == "text/html"
        assert "PRESENCE_PREFIX" in page.text
    assert caplog.text.count("PRESENCE_PREFIX=") == 1, "one line for an address and minute"
    for path in ("/presence", "/a/socket.iox", "/x/apis/y", "/api/api", "/../api/x", "/a b/api"):
        assert (client.get(path).json or {})["code"] == "not_found", path
