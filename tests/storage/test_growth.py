"""What a verb costs the database does not grow with rooms and peers that it is not about.

Nor does what is done behind it, for the webhooks of one backend, with what waits for another's.

SQLite tells how many steps its machine has taken, which is the same on every computer: a search
that goes through a table, or through an index that has one value many times, shows at once.
"""

from __future__ import annotations

import io
import threading
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import delete, event
from sqlalchemy.orm import Session

from app import create_app
from local_cluster.waiting import eventually
from presence.config import Settings
from presence.domain.outbox import deliveries, event_log, outbox
from presence.domain.peers import peers, workers
from presence.domain.peers.limits import Limits
from presence.domain.peers.sessions import RestPresence, SocketPresence
from presence.domain.values import clock
from presence.storage import database
from presence.storage.models import Event, WebhookFailure, WebhookQueue, db
from tests.support import keys
from tests.support.bare_domain import WORKER

API = "/api/webrtc"
# How many rooms there are besides: each with a peer over REST, one on a socket and one who is away.
FEW, MANY = 5, 500

Do = Callable[..., Any]


class Steps:
    """Counts the steps that SQLite's machine takes for this thread, on an engine's connections."""

    def __init__(self, engine: Any) -> None:
        self.taken = 0
        # What the upkeep does is not asked for here.
        self._thread = threading.get_ident()
        event.listen(engine, "checkout", self._watch)

    def _watch(self, connection: Any, *_: Any) -> None:
        connection.set_progress_handler(self._step, 1)

    def _step(self) -> int:
        self.taken += threading.get_ident() == self._thread
        return 0


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Flask:
    folder: Path = tmp_path_factory.mktemp("growth")
    made = create_app(
        Settings(
            database_url=f"sqlite:///{folder}/test.db",
            upload_dir=f"{folder}/uploads",
            requests_per_minute=0,
            uploads_per_minute=0,
            keep_events="1d",
            keep_broadcasts=100,
            mode="locked",
            secret_key=keys.KEY,
            allowed_origins="https://app.example.org",
            allowed_hosts="localhost",
        )
    )
    with made.test_client().get("/healthz") as answer:  # starts it, with the end of all sessions
        assert answer.status_code == 200
    return made


@pytest.fixture(scope="module")
def steps(app: Flask) -> Steps:
    with app.app_context():
        return Steps(db.engine)


@pytest.fixture(scope="module")
def filled(app: Flask) -> Callable[[int], None]:
    """Returns a function that fills rooms up to a number of them."""
    there = 0
    with app.app_context(), database.writing() as session:
        workers.register(session, WORKER, alone=False)

    def fill(up_to: int) -> None:
        nonlocal there
        while there < up_to:
            room = f"other-{there}"
            there += 1
            with app.app_context(), database.writing() as session:
                for who, presence in (
                    ("rest", RestPresence(3600)),
                    ("socket", SocketPresence(f"sid-{room}", WORKER)),
                    ("away", RestPresence(3600)),
                ):
                    peers.join(
                        session,
                        room_name=room,
                        peer_id=who,
                        username=who,
                        new_data={"a": 1},
                        presence=presence,
                        limits=Limits(max_peers=100, max_user_data_bytes=10_000),
                    )
                peers.leave(session, room, "away")
            # What a serving process does beside all this.
            with app.app_context(), database.writing() as session:
                while event_log.put_in_order(session, ())[0]:
                    pass

    return fill


# In this order, in a room of its own each time.
VERBS: dict[str, Do] = {
    "a joining that makes the room": lambda do, room: do(
        "post", f"/rooms/{room}/join", {"peer_id": "a", "username": "a"}
    ),
    "a joining": lambda do, room: do(
        "post", f"/rooms/{room}/join", {"peer_id": "b", "username": "b"}
    ),
    "a joining again": lambda do, room: do(
        "post", f"/rooms/{room}/join", {"peer_id": "b", "username": "b"}
    ),
    "an update": lambda do, room: do(
        "post", f"/rooms/{room}/update-data?peer_id=a", {"user_data": {"a": 1}}
    ),
    "the room's own data": lambda do, room: do(
        "post", f"/rooms/{room}/data", {"room_data": {"a": 1}}
    ),
    "an upload": lambda do, room: do("upload", "/upload", {"room_name": room, "peer_id": "a"}),
    "a broadcast that is kept": lambda do, room: do(
        "post", f"/rooms/{room}/broadcast", {"event": "e", "data": 1, "keep": True}
    ),
    "the room": lambda do, room: do("get", f"/rooms/{room}"),
    "a peer": lambda do, room: do("get", f"/rooms/{room}/peers/a"),
    "the room's events": lambda do, room: do("get", f"/events?room={room}&after=latest"),
    "leaving": lambda do, room: do("post", f"/rooms/{room}/leave?peer_id=b"),
    "coming back": lambda do, room: do(
        "post", f"/rooms/{room}/join", {"peer_id": "b", "username": "b"}
    ),
    "a kick": lambda do, room: do("post", f"/rooms/{room}/peers/b/kick"),
    "a ban": lambda do, room: do("post", f"/rooms/{room}/peers/b/ban", {"seconds": 60}),
    "an erasure": lambda do, room: do("delete", f"/rooms/{room}/peers/a"),
    "the end of the room": lambda do, room: do("delete", f"/rooms/{room}"),
}


def test_no_verb_costs_more_where_there_are_more_rooms(
    app: Flask, steps: Steps, filled: Callable[[int], None]
) -> None:
    admin = keys.bearer(keys.token("operator", "*", ["admin"]))
    cost: dict[str, list[int]] = {name: [] for name in VERBS}
    for rooms in (FEW, MANY):
        filled(rooms)
        room = f"own-{rooms}"

        def do(method: str, path: str, body: Any = None) -> None:
            options: dict[str, Any] = {"json": body}
            if method == "upload":
                method = "post"
                options = {"data": {**body, "file": (io.BytesIO(b"words"), "words.txt")}}
            if method == "get":
                options = {}
            with getattr(app.test_client(), method)(
                f"{API}{path}", headers=admin, **options
            ) as answer:
                assert answer.status_code < 300, (path, answer.text)

        for name, verb in VERBS.items():
            before = steps.taken
            verb(do, room)
            cost[name].append(steps.taken - before)
    # A search that goes through rows takes several steps for each of them.
    grown = {name: (few, many) for name, (few, many) in cost.items() if many - few > MANY - FEW}
    assert all(few > 0 for few, _ in cost.values()), cost
    assert not grown, f"steps with {FEW} and with {MANY} rooms: {grown}"


BACKEND, OTHER = "b" * 32, "o" * 32
HOUR = timedelta(hours=1)


def claim(session: Session, *, again: bool) -> Any:
    return deliveries.claim(
        session, BACKEND, WORKER, again=again, rooms=10, events=100, max_bytes=100_000
    )


# In this order, in a transaction of its own each.
BEHIND: dict[str, Callable[[Session], Any]] = {
    "placing": lambda session: event_log.put_in_order(session, [BACKEND]),
    "looking whether any is due": lambda session: deliveries.any_due(
        session, BACKEND, clock.now() + HOUR, again=False
    ),
    "a claim": lambda session: claim(session, again=False),
    "a claim of what was refused": lambda session: claim(session, again=True),
    "forgetting what is waited for": lambda session: event_log.forget(
        session, clock.now() + HOUR, 0, 100
    ),
    "forgetting what is done with": lambda session: (
        session.execute(delete(WebhookQueue).where(WebhookQueue.hook == BACKEND)),
        event_log.forget(session, clock.now() + HOUR, 0, 100),
    )[-1][0],
    "an erasure": lambda session: outbox.redact(session, "told", ["ada"]),
}


def test_what_is_done_for_one_webhook_does_not_cost_more_where_more_waits_for_another(
    app: Flask, steps: Steps
) -> None:
    cost: dict[str, list[int]] = {name: [] for name in BEHIND}
    there = 0
    for waiting in (FEW, MANY):
        with app.app_context(), database.writing() as session:
            if not there:
                session.execute(delete(Event))
            for number in range(there, waiting):
                of = {"hook": OTHER, "room_name": f"waiting-{number}", "after": 0, "last": 1}
                later = {"due_at": clock.now() + 2 * HOUR, "attempts": 1}
                session.add_all(
                    [
                        WebhookQueue(**of, **later),
                        WebhookFailure(**of, failed_at=clock.now(), error="it said no"),
                    ]
                )
            there = waiting
        with app.app_context():
            with database.writing() as session:
                for number in range(50):
                    outbox.tell_wanted(
                        session, outbox.PEER_UPDATED, ("told", number), clock.now(), {}, peer_id="a"
                    )
            for name, do in BEHIND.items():
                if "claim" in name:
                    eventually(partial(is_due, app), "what was placed is due", interval=0.001)
                before = steps.taken
                with database.writing() as session:
                    do(session)
                cost[name].append(steps.taken - before)
    grown = {name: (few, many) for name, (few, many) in cost.items() if many - few > MANY - FEW}
    assert all(few > 0 for few, _ in cost.values()), cost
    assert not grown, f"steps with {FEW} and with {MANY} rooms that wait: {grown}"


def is_due(app: Flask) -> bool:
    with app.app_context(), database.reading() as session:
        return deliveries.any_due(session, BACKEND, clock.now(), again=False)
