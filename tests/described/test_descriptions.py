"""The documents are valid, and nothing that a client can meet is missing from them."""

from __future__ import annotations

import ast
import inspect
import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from flask import Flask
from openapi_spec_validator import validate

from app import create_app
from presence import errors, transport
from presence.config import Settings
from presence.errors import PresenceError
from presence.transport.describing import openapi, schemas
from presence.transport.events import signals
from presence.transport.wire import messages
from presence.transport.wire.server_events import NOTICES
from tests.support import needs
from tests.support.strict import Body, check

# What a person opens in a browser.
PAGES = {
    "/",
    "/fragments/rooms",
    "/rooms",
    "/rooms/<room_name>",
    "/rooms/<room_name>/live",
    "/rooms/<room_name>/invitation.svg",
    "/doctor",
    "/doctor/elsewhere",
    "/doctor/seen/<key>",
    "/doctor/trickle",
    "/doctor/upgrade/<key>",
    "/doctor/rooms/<room_name>",
    "/docs/api",
    "/uploads/<filename>/thumbnail",
    "/uploads/<filename>/preview",
    "/rooms/<room_name>/avatars/<peer_id>/<filename>",
    "/docs/samples.json",
    "/admin",
    "/admin/live",
    "/clients",
    "/clients/presence-client.tgz",
    "/clients/<name>.whl",
    "/static/<path:filename>",
}
TRANSPORT = Path(transport.__file__).parent
CONDITIONS = [
    item
    for _name, item in inspect.getmembers(errors, inspect.isclass)
    if issubclass(item, PresenceError) and not item.__subclasses__()
]


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Flask:
    folder = tmp_path_factory.mktemp("described")
    return create_app(
        Settings(database_url=f"sqlite:///{folder}/x.db", upload_dir=str(folder / "up"))
    )


@pytest.fixture(scope="module")
def routes(app: Flask) -> Body:
    """The OpenAPI document."""
    return dict(app.test_client().get("/api/openapi.json").get_json())


@pytest.fixture(scope="module")
def events(app: Flask) -> Body:
    """The AsyncAPI document."""
    return dict(app.test_client().get("/api/asyncapi.json").get_json())


def test_the_document_of_the_routes_is_valid_openapi(routes: Body) -> None:
    assert routes["openapi"].startswith("3.1.")
    validate(routes)


def test_the_document_of_the_events_is_valid_asyncapi(events: Body) -> None:
    specification = needs.npm_package("@asyncapi/specs") / "schemas" / "3.0.0.json"
    assert events["asyncapi"] == "3.0.0"
    jsonschema.Draft7Validator(json.loads(specification.read_text())).validate(events)


def test_every_reference_leads_somewhere(routes: Body, events: Body) -> None:
    for document in (routes, events):
        for target in re.findall(r'"\$ref": ?"#/([^"]+)"', json.dumps(document)):
            found: Any = document
            for part in target.split("/"):
                found = found[part.replace("~1", "/").replace("~0", "~")]


def test_every_route_is_described(app: Flask, routes: Body) -> None:
    described = {
        (path, method.upper()) for path, item in routes["paths"].items() for method in item
    }
    served = {
        (re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule), method)
        for rule in app.url_map.iter_rules()
        if rule.rule not in PAGES
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }
    assert described == served


def test_every_operation_says_what_it_does_and_answers(routes: Body) -> None:
    for path, item in routes["paths"].items():
        for method, operation in item.items():
            what = f"{method} {path}"
            assert operation["summary"], what
            assert operation["tags"][0] in openapi.GROUPS, what
            assert any(status.startswith("2") for status in operation["responses"]), what
            named = {found["name"] for found in operation.get("parameters", [])}
            assert set(re.findall(r"\{(\w+)\}", path)) <= named, what


def test_every_event_that_the_server_takes_is_described(app: Flask, events: Body) -> None:
    handled = set(app.extensions["presence"].socketio.server.handlers["/"])
    taken = {
        name.removeprefix("receive_")
        for name, operation in events["operations"].items()
        if operation["action"] == "receive"
    }
    assert taken == handled - {"connect", "disconnect", "*"}


def emitted() -> set[str]:
    """Return the name of every event that some module of the transport sends."""
    names: set[str] = set()
    for path in TRANSPORT.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.Call) or not node.args:
                continue
            function = node.func
            called = ast.unparse(function)
            if isinstance(function, ast.Attribute) and (
                function.attr == "emit" or called == "packets.event"
            ):
                first = node.args[0]
                if isinstance(first, ast.Constant):
                    names.add(str(first.value))
    return names


def test_every_event_that_the_server_sends_is_described(events: Body) -> None:
    sent = {
        name.removeprefix("send_")
        for name, operation in events["operations"].items()
        if operation["action"] == "send"
    }
    found = emitted()
    assert {"peer_list_updated", "file_uploaded", "server_shutdown"} <= found
    assert found <= sent
    assert set(NOTICES) <= sent


def test_every_condition_is_described(routes: Body, events: Body, app: Flask) -> None:
    documents = json.dumps([routes, events])
    # They answer what is in no document: an unknown event or method, opening a connection.
    unseen = {
        errors.UnknownEvent,
        errors.MethodRefused,
        errors.TooManyConnects,
        errors.TooManySockets,
        errors.ServerFull,
        errors.UpgradeIncomplete,
        errors.UpgradeRefused,
        errors.TransportRefused,
        errors.ProtocolRefused,
        errors.SessionUnknown,
        errors.SessionElsewhere,
        errors.PrefixUnknown,
        errors.RequestMalformed,
        errors.RequestTimeout,
        errors.NoWebSocketHere,
        errors.SessionUpgraded,
        errors.RequestsOverlap,
        errors.PacketsUnreadable,
        errors.NamespaceUnknown,
        errors.HeadersTooLarge,
        errors.NotConnected,
        errors.AlreadyConnected,
    }
    for condition in set(CONDITIONS) - unseen:
        assert f'"{condition.code}"' in documents, condition


@pytest.mark.parametrize("condition", CONDITIONS)
def test_a_condition_declares_every_key_that_it_gives(condition: type[PresenceError]) -> None:
    """The keyword arguments of `super().__init__` in its constructor, and no others."""
    if "__init__" not in vars(condition):
        return
    source = inspect.getsource(condition)
    given = {
        keyword.arg
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "super().__init__"
        for keyword in node.keywords
        if keyword.arg
    }
    assert given == set(schemas.extra_keys(condition))
    example = schemas.example_of_condition(condition)
    assert set(example) == given | {"code", "detail"}


def test_every_example_follows_its_schema(routes: Body, events: Body) -> None:
    for document in (routes, events):
        for name, schema in document["components"]["schemas"].items():
            if schema.get("type") == "object":
                example = schemas.example_of(schema, document["components"]["schemas"])
                check(example, schema, document, name)
    for name, message in events["components"]["messages"].items():
        for example in message["examples"]:
            check(example["payload"], message["payload"], events, name)


@pytest.mark.parametrize(
    "data",
    [
        {"to": "grace", "data": None},
        {"to": "grace", "data": {"a": [1]}, "type": "offer", "to_session": "x"},
        {"to": "grace"},
        {"data": 1},
        {"to": 1, "data": 1},
        {"to": "grace", "data": 1, "type": ""},
        {"to": "grace", "data": 1, "type": "x" * 65},
        {"to": "grace", "data": 1, "type": None, "to_session": None},
        {"to": "grace", "data": 1, "to_session": 5},
    ],
)
def test_signals_are_read_as_they_are_described(data: Body) -> None:
    """The one reader that is written by hand, for speed."""
    schema = messages.SendSignal.model_json_schema()
    described = not list(jsonschema.Draft202012Validator(schema).iter_errors(data))
    try:
        signals.parse_signal(data, 1000)
        taken = True
    except PresenceError:
        taken = False
    assert taken == described
