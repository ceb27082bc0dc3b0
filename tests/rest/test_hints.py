"""A key that resembles one of ours is named beside the answer; others are ignored as ever."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Generator, Iterator
from typing import Any

import pytest
import requests
import socketio

from local_cluster.live_server import LiveServer
from presence.domain.values import key_hints
from presence.transport.wire import backend_messages, messages
from presence.transport.wire.messages import Incoming
from tests.support.keys import LOCKED, bearer, token
from tests.support.tus import metadata

ROOMS = "/api/webrtc/rooms"
MODELS = [
    model
    for module in (messages, backend_messages)
    for model in vars(module).values()
    if isinstance(model, type) and issubclass(model, Incoming) and model is not Incoming
]
KEYS = sorted({name for model in MODELS for name in messages.keys_of(model)})
# What applications send beside our keys, and is nobody's slip.
OWN = [
    *("avatar", "color", "id", "x", "platform", "clientVersion", "timestamp", "lang", "extra"),
    *("_token", "ts", "nonce", "meta", "requestId", "device_os", "🙂", "", "a" * 5000, "__proto__"),
]


def otherwise(name: str) -> Iterator[str]:
    """Yield other ways to write a key."""
    words = name.split("_")
    yield "".join([words[0], *(word.title() for word in words[1:])])
    yield "".join(word.title() for word in words)
    yield from ("".join(words), "-".join(words), " ".join(words), name.upper(), name.title())
    yield from (f"_{name}", f"{name}_", f"{name}:", ".".join(words))


def mistyped(name: str, random_: random.Random) -> Iterator[str]:
    """Yield slips of the finger: a letter lost, doubled, another one, or two swapped."""
    for at in range(len(name)):
        letter = random_.choice("abcdefghijklmnopqrstuvwxyz")
        yield name[:at] + name[at + 1 :]
        yield name[:at] + name[at] + name[at:]
        yield name[:at] + letter + name[at + 1 :]
        yield (
            name[: at - 1] + name[at : at + 1] + name[at - 1 : at] + name[at + 1 :] if at else name
        )


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_every_key_written_otherwise_is_named(model: type[Incoming]) -> None:
    known = messages.keys_of(model)
    for name in known:
        for key in set(otherwise(name)) - set(known):
            for sent in ({key: 1}, {key: 1, name: 2}):
                (hint,) = messages.hinted(sent, model)["hints"]
                assert f"“{key}”" in hint, sent
                assert f"Is “{name}” meant" in hint, sent


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_a_slip_of_the_finger_is_named_unless_the_key_itself_is_there(
    model: type[Incoming],
) -> None:
    known = messages.keys_of(model)
    for name in known:
        plain = name.replace("_", "")
        for key in set(mistyped(name, random.Random(name))) - set(known):
            if len(plain) < 4 or len(key.replace("_", "")) < 4:
                continue
            (hint,) = messages.hinted({key: 1}, model)["hints"]
            assert f"“{key}”" in hint
    with_all = dict.fromkeys(known, 1)
    assert messages.hinted(with_all, model) == {}
    assert messages.hinted({**with_all, "romnam": 1}, model) == {}


def test_parts_of_a_key_stand_for_it_where_it_is_missing() -> None:
    for key, name in (
        ("room", "room_name"),
        ("name", "room_name"),
        ("peer", "peer_id"),
        ("data", "user_data"),
        ("user", "username"),
        ("userName", "username"),
        ("roomId", "room_name"),
    ):
        known = [
            *(messages.JoinRoom.model_fields.keys() - {"room_name", "username", "user_data"}),
            name,
        ]
        for in_order in (sorted(known), sorted(known, reverse=True)):
            (hint,) = key_hints.hints({key: 1}, in_order)
            assert f"Is “{name}” meant" in hint, key
    (hint,) = key_hints.hints({"filename": 1}, messages.UploadForm.model_fields.keys())
    assert "Is “file” meant" in hint


def test_what_a_key_says_more_closely_is_not_the_key() -> None:
    asked = {"room_name": 1, "peer_id": 1, "username": 1, "user_data": {}, "data": 1}
    assert messages.hinted(asked, messages.JoinRoom) == {}


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_keys_of_the_application_are_ignored(model: type[Incoming]) -> None:
    sent = {**dict.fromkeys(messages.keys_of(model), 1), **dict.fromkeys(OWN, 1)}
    assert messages.hinted(sent, model) == {}


def test_a_message_of_many_keys_has_few_hints_and_takes_no_time() -> None:
    many = {f"user{'_' * n}Data": 1 for n in range(2000)}
    assert len(messages.hinted(many, messages.JoinRoom)["hints"]) == 5
    # Neither halves of surrogate pairs nor what cannot be seen is repeated.
    assert messages.hinted({"user\ud800data": 1, "user\x00data": 1}, messages.JoinRoom) == {}


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Generator[LiveServer]:
    server = LiveServer(tmp_path_factory.mktemp("hints")).start()
    yield server
    server.kill()


def person(**more: Any) -> dict[str, Any]:
    return {"peer_id": "ada", "username": "Ada", **more}


def test_answers_over_rest_carry_the_hint_be_they_a_success_or_an_error(live: LiveServer) -> None:
    def post(path: str, **options: Any) -> Any:
        return requests.post(live.url + path, timeout=20, **options).json()

    join = f"{ROOMS}/studio/join"
    assert "hints" not in post(join, json=person(user_data={"userData": 1}, avatar="x"))
    joined = post(join, json=person(userData={"a": 1}))
    assert joined["success"]
    (hint,) = joined["hints"]
    assert hint == "“userData” is no key of this message and was ignored. Is “user_data” meant?"
    refused = post(join, json={"peerId": "ada", "username": "Ada"})
    assert refused["code"] == "invalid_field"
    assert "“peer_id”" in refused["hints"][0]
    update = f"{ROOMS}/studio/update-data"
    refused = post(f"{update}?peerId=ada", json={"user_data": {}})
    assert (refused["field"], "“peerId”" in refused["hints"][0]) == ("peer_id", True)
    assert (
        "“ifVersion”"
        in post(f"{update}?peer_id=ada", json={"remove": [], "ifVersion": 1})["hints"][0]
    )
    file = {"file": ("a.txt", b"text")}
    refused = post("/api/webrtc/upload", files=file, data={"roomName": "studio", "peer_id": "ada"})
    assert "“roomName”" in refused["hints"][0]
    stored = post(
        "/api/webrtc/upload",
        files=file,
        data={"room_name": "studio", "peer_id": "ada", "peerID": 1},
    )
    assert (stored["success"], "“peerID”" in stored["hints"][0]) == (True, True)
    headers = {
        "Tus-Resumable": "1.0.0",
        "Upload-Length": "4",
        "Upload-Metadata": metadata(filename="a.txt", roomName="studio", peer_id="ada"),
    }
    assert "“roomName”" in post("/api/webrtc/uploads", headers=headers)["hints"][0]
    # An array, a text, or nothing at all has no keys.
    for body in ("[1]", '"userData"', "", "null"):
        assert "hints" not in post(join, data=body)


def test_answers_of_sockets_carry_the_hint_with_and_without_an_acknowledgement(
    live: LiveServer, connect: Callable[..., Any]
) -> None:
    client = connect(live)
    join = {"room_name": "hints", "peer_id": "ada", "username": "Ada"}
    assert "hints" not in client.call("join_room", join)
    for event, message, key, success in (
        ("join_room", {**join, "userData": {}}, "userData", "join_room_success"),
        ("join", {"roomName": "hints", "peer_id": "a", "username": "A"}, "roomName", None),
        ("update_user_data", {"userData": {}}, "userData", None),
        (
            "update_user_data",
            {"user_data": {}, "Replace": 1},
            "Replace",
            "update_user_data_success",
        ),
        ("sync", {"since": 0, "Since": 1}, "Since", "sync_success"),
        ("signal", {"to": "nobody", "data": 1, "toSession": "x"}, "toSession", None),
        ("broadcast", {"event": "x", "data": 1, "Event": "y"}, "Event", "ok"),
        ("watch", {"roomName": "hints"}, "roomName", "ok"),
    ):
        answer = client.call(event, message)
        assert answer["ok"] is (success is not None), event
        (hint,) = answer["hints"]
        assert f"“{key}”" in hint, event
        told = success if success not in (None, "ok") else None
        if success is None:
            told = f"{'join_room' if event == 'join' else event}_error"
        if told:
            assert [body for name, body in client.received if name == told][-1]["hints"] == [hint]


def test_the_list_of_rooms_has_no_key_but_names_of_rooms(live: LiveServer) -> None:
    requests.post(f"{live.url}{ROOMS}/hints/join", json=person(), timeout=20)
    answer = requests.get(f"{live.url}{ROOMS}/?Prefix=h&limit=1", timeout=20)
    assert answer.json()["hints"]["peers"][0]["peer_id"] == "ada"
    (hint,) = json.loads(answer.headers["Presence-Hints"])
    assert "Is “prefix” meant?" in hint
    assert answer.headers["Access-Control-Expose-Headers"].endswith("Presence-Hints")
    assert "Presence-Hints" not in requests.get(f"{live.url}{ROOMS}?limit=1", timeout=20).headers


def test_a_peer_may_be_named_in_the_body(live: LiveServer) -> None:
    def post(path: str, body: Any, **options: Any) -> Any:
        return requests.post(f"{live.url}{ROOMS}/body/{path}", json=body, timeout=20, **options)

    post("join", person())
    answer = post("update-data", {"peer_id": "ada", "user_data": {"a": 1}})
    assert (answer.status_code, answer.json()["user_data"]) == (200, {"a": 1})
    assert "hints" not in answer.json()
    # The address wins.
    assert post("update-data?peer_id=ada", {"peer_id": "bo", "user_data": {"b": 1}}).ok
    assert post("update-data", {"user_data": {}}).json()["detail"].startswith("peer_id is required")
    assert post("update-data", {"peer_id": 7, "user_data": {}}).status_code == 422
    assert post("leave", {"peer_id": "ada"}).json()["is_active"] is False
    assert post("leave", None).status_code == 422


def test_a_peer_in_the_body_must_be_the_one_of_the_token(
    new_server: Callable[..., LiveServer],
) -> None:
    server = new_server(**LOCKED)

    def post(peer_id: str, path: str, body: Any) -> requests.Response:
        headers = bearer(token(peer_id, "body"))
        url = f"{server.url}{ROOMS}/body/{path}"
        return requests.post(url, json=body, headers=headers, timeout=20)

    for name in ("ada", "bo"):
        assert post(name, "join", {"peer_id": name, "username": name}).ok
    assert post("ada", "update-data", {"peer_id": "ada", "user_data": {"a": 1}}).ok
    for path, body in (("update-data", {"user_data": {"a": 1}}), ("leave", {})):
        refused = post("ada", path, {**body, "peer_id": "bo"})
        assert (refused.status_code, refused.json()["code"]) == (403, "wrong_peer"), path
    assert post("bo", "leave", {"peer_id": "bo"}).ok


def test_a_slash_too_many_does_not_matter(live: LiveServer) -> None:
    requests.post(f"{live.url}{ROOMS}/slashes/join", json=person(), timeout=20)
    document = requests.get(f"{live.url}/api/openapi.json", timeout=20).json()
    own = {"{room_name}": "slashes", "{peer_id}": "ada", "{filename}": "x", "{upload_id}": "x"}
    for path, methods in document["paths"].items():
        for name, value in own.items():
            path = path.replace(name, value)  # noqa: PLW2901
        for method in methods:
            plain = requests.request(method, live.url + path, timeout=20)
            if method == "delete" and plain.ok:
                requests.post(f"{live.url}{ROOMS}/slashes/join", json=person(), timeout=20)
            for written in (f"{path}/", f"/{path}", path.replace("/", "//"), f"{path}//"):
                # Not by requests, which tidies addresses itself.
                answer = requests.Session()
                prepared = requests.Request(method, live.url).prepare()
                prepared.url = live.url + written
                got = answer.send(prepared, timeout=20, allow_redirects=False)
                assert got.status_code == plain.status_code, (method, written)
                if method == "delete" and got.ok:
                    requests.post(f"{live.url}{ROOMS}/slashes/join", json=person(), timeout=20)
    # One within a name is none of the address.
    assert requests.get(f"{live.url}{ROOMS}/%2F", timeout=20).status_code == 404
    assert requests.get(f"{live.url}{ROOMS}/slashes%2F", timeout=20).status_code == 404


def test_socket_io_keeps_its_own_address(live: LiveServer) -> None:
    for written in ("/socket.io/", "/socket.io", "//socket.io/", "/socket.io//"):
        prepared = requests.Request("GET", live.url).prepare()
        prepared.url = f"{live.url}{written}?EIO=4&transport=polling&t=a%2Fb"
        answer = requests.Session().send(prepared, timeout=20, allow_redirects=False)
        assert answer.text.startswith('0{"sid"'), written
        assert answer.headers["Cache-Control"] == "no-store", written
    for name in ("socket.io.js", "socket.io.min.js"):
        script = requests.get(f"{live.url}/socket.io/{name}", timeout=20)
        assert script.headers["Content-Type"].startswith("text/javascript"), name
        assert "Socket.IO v4" in script.text, name
    client = socketio.SimpleClient()
    client.connect(live.url)
    client.disconnect()
