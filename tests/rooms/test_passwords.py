"""Rooms that ask for a password: who is asked, what is told, and how slowly it can be guessed."""

from __future__ import annotations

import threading
import time
from collections.abc import Generator
from typing import Any

import pytest
import requests
from presence_client import Client, PresenceError
from sqlalchemy import create_engine, text
from sqlalchemy.orm import Session

from local_cluster.live_server import LiveServer
from local_cluster.waiting import eventually
from presence.domain.peers import made_rooms, peers, recovery
from presence.domain.peers.limits import Limits
from presence.domain.peers.passwords import Unchecked
from presence.domain.peers.recovery import Told
from presence.domain.peers.sessions import SocketPresence
from tests.support.bare_domain import WORKER
from tests.support.callers import ROOMS, admin, ask, join, joined
from tests.support.clients import Body, PythonClient, hears, shows
from tests.support.keys import LOCKED, token

SECRET = "Ünter den Linden"
LIMIT = 4


@pytest.fixture(scope="module", params=["eventlet", "threading"])
def open_server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Generator[LiveServer]:
    """An open server behind one proxy, which the tests play: each may have an address."""
    server = LiveServer(
        tmp_path_factory.mktemp(f"passwords-{request.param}"),
        mode=request.param,
        PRESENCE_TRUSTED_PROXIES=1,
        PRESENCE_REQUESTS_PER_MINUTE=0,
        PRESENCE_CONNECTS_PER_MINUTE=0,
        PRESENCE_WRONG_PASSWORDS_PER_MINUTE=LIMIT,
    ).start()
    yield server
    server.kill()


def put(server: LiveServer, room: str, made: str | None = None, **terms: Any) -> requests.Response:
    return ask(server, "PUT", f"{ROOMS}/{room}", made, json=terms)


def come(
    server: LiveServer, room: str, peer_id: str, address: str = "192.0.2.1", **more: Any
) -> Body:
    """Join over REST from an address; return the answer's body."""
    message, headers = {**join(room, peer_id), **more}, {"X-Forwarded-For": address}
    answer = ask(server, "POST", f"{ROOMS}/{room}/join", json=message, headers=headers)
    return {"status": answer.status_code, **answer.json()}


def codes(*answers: Body) -> list[str]:
    return [answer.get("code", "joined") for answer in answers]


def test_joining_asks_for_it_over_both_ways_in(open_server: LiveServer, room: str) -> None:
    made = put(open_server, room, password=SECRET)
    assert (made.status_code, made.json()["has_password"]) == (201, True)
    assert put(open_server, room, max_peers=5).json()["has_password"], "what is left out stays"
    client = PythonClient(open_server.url)
    for asked, given in (
        ("password_wanted", {}),
        ("password_wanted", {"password": None}),
        ("wrong_password", {"password": SECRET.lower()}),
        ("invalid_field", {"password": ""}),
        ("invalid_field", {"password": "x" * 201}),
        ("invalid_field", {"password": 7}),
    ):
        answer = client.call("join_room", {**join(room, "ada"), **given})
        assert codes(answer, come(open_server, room, "bob", **given)) == [asked, asked], given
    assert hears(client, "join_room_error")["room_name"] == room
    listed = requests.get(f"{open_server.url}{ROOMS}/{room}", timeout=10)
    assert listed.json()["peers"] == [], "who is refused has left nothing behind"

    # As another keyboard writes it: U and its dots apart.
    answer = client.call("join_room", {**join(room, "ada"), "password": "U\u0308" + SECRET[1:]})
    assert answer["ok"], answer
    assert come(open_server, room, "bob", password=SECRET)["success"]
    for body in (str(answer), listed.text, str(client.received)):
        assert not {word for word in (SECRET, "has_password", "scrypt:") if word in body}

    assert client.call("join_room", join(room, "ada"))["ok"], "who is in needs none"
    wanted = put(open_server, room, password="x").json()
    assert wanted["code"] == "password_wanted"
    assert "“current_password”" in wanted["detail"], "it says as what it is to be sent here"
    taken = {"password": None, "current_password": "x"}
    assert put(open_server, room, **taken).json()["code"] == "wrong_password"
    taken["current_password"] = SECRET
    assert put(open_server, room, **taken).json()["has_password"] is False
    assert come(open_server, room, "eve")["success"]
    client.disconnect()


def test_what_is_kept_cannot_be_read(open_server: LiveServer, room: str) -> None:
    put(open_server, room, password=SECRET)
    put(open_server, f"{room}-2", password=SECRET)
    engine = create_engine(f"sqlite:///{open_server.folder / 'presence.db'}")
    with engine.connect() as connection:
        rows = connection.execute(
            text("SELECT password_hash FROM rooms WHERE name LIKE :name"), {"name": f"{room}%"}
        ).all()
    engine.dispose()
    kept = {row[0] for row in rows}
    assert len(kept) == 2, "each has a salt of its own"
    assert all(one.startswith("scrypt:") and SECRET not in one for one in kept)


def test_guessing_is_slow_from_an_address_and_at_a_room(open_server: LiveServer, room: str) -> None:
    put(open_server, room, password=SECRET)
    answers: list[str] = []

    def guess(number: int, address: str) -> None:
        answers.extend(codes(come(open_server, room, "eve", address, password=f"no {number}")))

    threads = [threading.Thread(target=guess, args=(n, "198.51.100.7")) for n in range(3 * LIMIT)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    # A minute slides, so that one more may have been allowed meanwhile.
    assert LIMIT <= answers.count("wrong_password") <= LIMIT + 1, "many at once are not more"
    assert set(answers) == {"wrong_password", "too_many_wrong_passwords"}
    late = come(open_server, room, "eve", "198.51.100.7", password=SECRET)
    assert (late["status"], late["limit"]) == (429, LIMIT), "nobody learns that it is right now"
    assert 0 < late["retry_after"] <= 120
    assert come(open_server, room, "ada", "198.51.100.8", password=SECRET)["success"]

    answers.clear()
    for number in range(LIMIT, 20 * LIMIT):
        guess(number, f"203.0.113.{number}")
        if answers[-1] == "too_many_guesses":
            break
    assert answers[-1] == "too_many_guesses", "from wherever they come"
    assert 9 * LIMIT - 1 <= len(answers) - 1 <= 12 * LIMIT, "ten times as many at one room"
    assert come(open_server, room, "ada", "198.51.100.8", password=SECRET)["success"], (
        "what was right before is known again"
    )
    put(open_server, f"{room}-other", password=SECRET)
    assert come(open_server, f"{room}-other", "ada", "198.51.100.9", password=SECRET)["success"]


def test_nobody_waits_while_passwords_are_checked(open_server: LiveServer, room: str) -> None:
    put(open_server, room, password=SECRET)
    client = PythonClient(open_server.url)
    client.call("join_room", join(f"{room}-open", "ada"))
    is_over = threading.Event()

    def guess(number: int) -> None:
        while not is_over.is_set():
            come(open_server, room, "eve", f"203.0.113.{number}", password=f"guess {number}")

    threads = [threading.Thread(target=guess, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    turns = []
    for _ in range(40):
        began = time.monotonic()
        client.call("broadcast", {"event": "tick", "data": None})
        turns.append(time.monotonic() - began)
    is_over.set()
    for thread in threads:
        thread.join()
    client.disconnect()
    # One after the other, each of those before would have taken 50 ms and more of everybody.
    assert sorted(turns)[len(turns) // 2] < 0.04, turns


def test_a_client_that_comes_back_shows_it_again(open_server: LiveServer, room: str) -> None:
    put(open_server, room, password=SECRET)
    with Client(open_server.url, peer_id="ada", timeout=20) as ada:
        with pytest.raises(PresenceError) as refusal:
            ada.join(room)
        assert refusal.value.code == "password_wanted"
        with pytest.raises(PresenceError) as refusal:
            ada.join(room, password="no")
        assert refusal.value.code == "wrong_password"
        ada.join(room, password=SECRET)
        ada.join(room, user_data={"hand": "raised"})

        open_server.kill()
        engine = create_engine(f"sqlite:///{open_server.folder / 'presence.db'}")
        with engine.begin() as connection:
            # Nothing gives its place back: it has to join by itself.
            connection.execute(text("DELETE FROM recoveries"))
        engine.dispose()
        open_server.start()
        eventually(lambda: ada.state == "joined" and ada.is_connected, "it is back", 20)


def test_a_place_is_given_back_though_the_password_was_changed(session: Session) -> None:
    limits, terms = Limits(max_peers=9, max_user_data_bytes=1000), {"password_hash": "one"}
    made_rooms.put(session, "studio", terms, closed=None, limits=limits, maker=None)

    def come(sid: str, passed: str | None) -> None:
        peers.join(
            session,
            room_name="studio",
            peer_id="ada",
            username="Ada",
            new_data={},
            presence=SocketPresence(sid, WORKER),
            limits=limits,
            passed=passed,
        )

    with pytest.raises(Unchecked) as asked:
        come("lost", None)
    assert asked.value.password_hash == "one"
    come("lost", "one")
    recovery.offer(session, "lost", "her secret", Told(deltas=False))
    terms["password_hash"] = "two"
    made_rooms.put(session, "studio", terms, closed=None, limits=limits, maker=None)
    assert peers.resume(session, "her secret", SocketPresence("back", WORKER), limits)
    with pytest.raises(Unchecked):
        come("another", "one")
    with pytest.raises(Unchecked):
        made_rooms.put(session, "studio", terms, closed=None, limits=limits, maker=None, passed="?")


def test_a_locked_server_does_not_ask_admins_nor_who_is_active(
    tmp_path_factory: pytest.TempPathFactory, room: str
) -> None:
    server = LiveServer(tmp_path_factory.mktemp("locked-passwords"), **LOCKED).start()
    try:
        assert put(server, room, admin(room), password=SECRET).ok
        host = PythonClient(server.url, ["websocket"], {"token": admin(room)})
        assert host.call("join_room", join(room, "root"))["ok"]
        over_rest = ask(server, "POST", f"{ROOMS}/{room}/join", admin(room), json=join(room, "x"))
        assert over_rest.ok

        ada = PythonClient(server.url, ["websocket"], {"token": token("ada", room)})
        message = join(room, "ada")
        assert codes(ada.call("join_room", message)) == ["password_wanted"]
        assert ada.call("join_room", {**message, "password": SECRET})["ok"]
        # Her token says who she is, and she is in.
        again = joined(server, "ada", room)
        again.disconnect()
        ada.call("leave_room", {})
        shows(host, "ada", False)
        assert codes(ada.call("join_room", message)) == ["password_wanted"]
        assert put(server, room, admin(room), password=None).json()["has_password"] is False
        assert ada.call("join_room", message)["ok"]
    finally:
        server.kill()
