"""Token × endpoint × event × peer: a locked server allows what the table says, and nothing else."""

from __future__ import annotations

from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import pytest
import requests

from app import create_app
from local_cluster.live_server import LiveServer
from presence.config import Settings
from presence.transport.wire.needs import PUBLIC, need_of
from tests.access.table import EVENTS, HOLDERS, PUBLIC_PATHS, ROOM, ROUTES, Holder, Route, filled
from tests.support.clients import PythonClient
from tests.support.keys import LOCKED, bearer, token

CASES = [(room, peer) for room in (ROOM, "other") for peer in ("ada", "bob")]
REFUSED = {"not_granted", "wrong_peer"}


@pytest.fixture(scope="session")
def http() -> Generator[requests.Session]:
    with requests.Session() as session:
        yield session


def call(
    http: requests.Session, server: LiveServer, route: Route, room: str, peer: str, **how: Any
) -> requests.Response:
    """Make a route's request for a room and a peer."""
    path = route.path.replace("<room_name>", room).replace("<peer_id>", peer)
    path = path.replace("<filename>", "0" * 32 + ".txt")
    if route.form:
        how["data"] = filled(route.form, room, peer)
        how["files"] = {"file": ("notes.txt", b"some words")}
    if route.json is not None:
        how["json"] = filled(route.json, room, peer)
    query = filled(route.query, room, peer)
    return http.request(route.method, f"{server.url}{path}?{query}", timeout=20, **how)


def code_of(answer: requests.Response) -> Any:
    """Return the code of an error; that of a page which says what is wrong is a guess."""
    if answer.headers["Content-Type"].startswith("application/json"):
        return answer.json().get("code")
    return {401: "token", 403: "not_granted"}.get(answer.status_code)


@pytest.mark.parametrize("holder", HOLDERS, ids=str)
def test_every_route_allows_what_the_table_says(
    locked: LiveServer, http: requests.Session, holder: Holder
) -> None:
    headers = bearer(token(holder.peer_id, holder.pattern, holder.grants))
    wrong = []
    for route in ROUTES:
        for room, peer in CASES:
            answer = call(http, locked, route, room, peer, headers=headers)
            code = code_of(answer)
            # What comes after the gate may still find no such peer, or nothing to take back.
            allowed = code not in REFUSED
            assert answer.status_code < 500, (route, answer.text)
            if allowed != holder.may(route, room, peer):
                wrong.append((str(route), room, peer, answer.status_code, code))
    assert wrong == []


@pytest.mark.parametrize("holder", HOLDERS, ids=str)
def test_every_event_allows_what_the_table_says(locked: LiveServer, holder: Holder) -> None:
    made = token(holder.peer_id, holder.pattern, holder.grants)
    client = PythonClient(locked.url, ["websocket"], {"token": made})
    wrong = []
    for event in EVENTS:
        for room, peer in CASES:
            answer = client.call(event.name, filled(event.message, room, peer))
            code = None if answer["ok"] else answer["code"]
            if (code not in REFUSED) != holder.may(event, room, peer):
                wrong.append((str(event), room, peer, code))
    client.disconnect()
    assert wrong == []


BAD = {
    "none": ({}, "token_required"),
    "another scheme": ({"Authorization": "Basic YWRhOnB3"}, "token_required"),
    "empty": ({"Authorization": "Bearer "}, "token_required"),
    "nonsense": ({"Authorization": "Bearer x.y.z"}, "token_refused"),
    "expired": (bearer(token("ada", "*", "admin", ttl=-1)), "token_expired"),
}


@pytest.mark.parametrize(("headers", "code"), BAD.values(), ids=BAD.keys())
def test_no_route_does_anything_without_a_good_token(
    locked: LiveServer, http: requests.Session, headers: dict[str, str], code: str
) -> None:
    for route in ROUTES:
        answer = call(http, locked, route, ROOM, "ada", headers=headers)
        assert answer.status_code == 401, str(route)
        assert code_of(answer) in (code, "token"), str(route)
        assert answer.headers["WWW-Authenticate"] == "Bearer"


@pytest.fixture
def locked_app(tmp_path: Path) -> Callable[..., Any]:
    """The app of a locked server, without one."""

    def make() -> Any:
        settings = Settings.from_environment(
            {**LOCKED, "DATABASE_URL": f"sqlite:///{tmp_path}/presence.db"}
        )
        return create_app(settings)

    return make


def test_every_route_has_declared_what_it_needs(locked_app: Callable[..., Any]) -> None:
    app = locked_app()
    listed = {(route.method, route.path): route for route in ROUTES}
    for rule in app.url_map.iter_rules():
        need = need_of(app, rule.endpoint)
        assert need is not None, f"{rule} has no declared access"
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}:
            if need == PUBLIC:
                assert rule.rule in PUBLIC_PATHS, f"{rule} is public, and not in the table"
            else:
                assert (method, rule.rule) in listed, f"{method} {rule} is not in the table"
                assert need.grant == listed.pop((method, rule.rule)).grant
    assert listed == {}


def test_every_event_has_declared_what_it_needs(locked_app: Callable[..., Any]) -> None:
    run = locked_app().extensions["presence"]
    handled = set(run.socketio.server.handlers["/"]) - {"connect", "disconnect", "*"}
    assert handled == set(run.access.event_needs)
    assert handled == {event.name for event in EVENTS}
    assert {event.name: event.grant for event in EVENTS} == {
        name: need.grant for name, need in run.access.event_needs.items()
    }


def test_a_route_that_forgets_to_declare_is_refused(locked_app: Callable[..., Any]) -> None:
    app = locked_app()
    app.add_url_rule("/forgotten", "forgotten", lambda: "done")
    answer = app.test_client().get("/forgotten", base_url="http://127.0.0.1")
    assert (answer.status_code, answer.json["code"]) == (403, "not_granted")
