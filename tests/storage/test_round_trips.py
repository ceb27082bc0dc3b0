"""How often each verb asks PostgreSQL, by its own log: once, where everything is known."""

from __future__ import annotations

import json
from collections.abc import Callable, Generator
from functools import partial
from typing import Any

import pytest

from local_cluster.live_server import LiveServer
from local_cluster.private_postgresql import PrivatePostgresql
from local_cluster.waiting import eventually
from tests.support.raw_socket import RawSocket
from tests.support.rest import Rest
from tests.support.statement_log import StatementLog


@pytest.fixture(scope="module", params=[False, True], ids=["", "telling backends"])
def server(
    request: pytest.FixtureRequest,
    postgresql: PrivatePostgresql,
    tmp_path_factory: pytest.TempPathFactory,
) -> Generator[LiveServer]:
    """A server on a PostgreSQL that logs what it is asked, with connections that know the verbs."""
    url = postgresql.new_database()
    live = LiveServer(
        tmp_path_factory.mktemp("round trips"),
        DATABASE_URL=url,
        PRESENCE_DATABASE_CONNECTIONS=2,
        PRESENCE_KEEP_EVENTS="1d" if request.param else "off",
    )
    live.tells_events = request.param  # type: ignore[attr-defined]
    live.log_of_statements = StatementLog(postgresql, url)  # type: ignore[attr-defined]
    live.start()
    yield live
    live.kill()


@pytest.fixture
def log(server: LiveServer) -> Any:
    return server.log_of_statements  # type: ignore[attr-defined]


def event(socket: RawSocket, name: str, **body: Any) -> None:
    """Send an event and wait for its success."""
    socket.send("42" + json.dumps([name, body]))
    while not (answer := socket.receive()).startswith(f'42["{name}_success"'):
        assert "_error" not in answer, answer


def join(socket: RawSocket, room: str, peer_id: str) -> None:
    event(socket, "join_room", room_name=room, peer_id=peer_id, username=peer_id)


def asked(log: StatementLog, room: str, do: Callable[[], object]) -> tuple[int, int, int]:
    """Return how many transactions, round trips and statements something took."""
    log.forget()
    do()
    transactions = log.about(f"'{room}'")
    return (
        len(transactions),
        sum(one.round_trips for one in transactions),
        sum(one.statements for one in transactions),
    )


def test_a_joining_is_two_round_trips_and_reads_no_list(
    server: LiveServer, log: StatementLog, room: str
) -> None:
    for socket, peer_id in ((RawSocket(server), "first"), (RawSocket(server), "second")):
        join(socket, room, peer_id)
    third = RawSocket(server)
    transactions, round_trips, _ = asked(log, room, lambda: join(third, room, "third"))
    assert (transactions, round_trips) == (1, 2)


def test_a_joining_that_makes_the_room_is_three_round_trips(
    server: LiveServer, log: StatementLog, room: str
) -> None:
    socket = RawSocket(server)
    transactions, round_trips, _ = asked(log, room, lambda: join(socket, room, "first"))
    assert (transactions, round_trips) == (1, 3)


def test_an_update_is_one_round_trip_of_three_statements_and_tells_backends_with_the_last(
    server: LiveServer, log: StatementLog, room: str
) -> None:
    socket = RawSocket(server)
    join(socket, room, "first")
    for number in range(3):
        data = {"number": number}
        update = partial(event, socket, "update_user_data", user_data=data)
        took = asked(log, room, update)
        assert took == (1, 1, 3)


def test_updates_that_come_while_one_is_asked_go_together(
    server: LiveServer, log: StatementLog, room: str
) -> None:
    sockets = [RawSocket(server) for _ in range(8)]
    for number, socket in enumerate(sockets):
        join(socket, room, f"peer-{number}")

    def update_all() -> None:
        for number in range(20):
            for socket in sockets:
                message = ["update_user_data", {"user_data": {"number": number}}]
                socket.send("42" + json.dumps(message))
        for socket in sockets:
            for _ in range(20):
                while not socket.receive().startswith('42["update_user_data_success"'):
                    pass

    transactions, round_trips, _ = asked(log, room, update_all)
    assert transactions == round_trips
    assert transactions <= 160 / 2


def test_leaving_and_being_lost_are_two_round_trips(
    server: LiveServer, log: StatementLog, room: str
) -> None:
    leaving, lost, witness = RawSocket(server), RawSocket(server), RawSocket(server)
    for socket, peer_id in ((witness, "witness"), (leaving, "leaving"), (lost, "lost")):
        join(socket, room, peer_id)
    took = asked(log, room, lambda: event(leaving, "leave_room"))
    assert took[:2] == (1, 2)

    def lose() -> None:
        lost.cut()
        eventually(
            lambda: '"reason":"disconnected"' in witness.receive(), "the loss is told", interval=0
        )

    took = asked(log, room, lose)
    assert took[:2] == (1, 2)


def test_rest_verbs_take_three_at_most(server: LiveServer, log: StatementLog, room: str) -> None:
    rest = Rest(server)
    rest.join(room, "a")
    assert asked(log, room, lambda: rest.join(room, "b"))[:2] == (1, 2)
    path = f"/rooms/{room}/update-data?peer_id=b"
    assert asked(log, room, lambda: rest.post(path, {"user_data": {"a": 1}}))[:2] == (1, 3)
