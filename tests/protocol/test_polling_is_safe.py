"""What a client's HTTP stack does by itself loses nothing: polls and POSTs that come again."""

from __future__ import annotations

from typing import Any

import pytest

from local_cluster.live_server import LiveServer
from local_cluster.waiting import eventually
from tests.protocol.wire import Asked, Polling


def joined(server: LiveServer, room: str) -> Polling:
    polling = Polling(server).connected()
    polling.post(f'42["join_room",{{"room_name":"{room}","peer_id":"p","username":"P"}}]')
    polling.wait_for('42["join_room_success"')
    return polling


def signal(sender: Any, number: int) -> None:
    answer = sender.call("signal", {"to": "p", "data": {"n": number}})
    assert answer["status"] == "delivered", answer


@pytest.fixture
def sender(server: LiveServer, connect: Any, room: str) -> Any:
    client = connect(server)
    client.call("join_room", {"room_name": room, "peer_id": "s", "username": "S"})
    return client


def numbers_until(polling: Polling, last: int, mark: str, found: list[int]) -> None:
    """Poll until a signal of this number came, and note the numbers of all that come."""
    for count in range(50):
        answer = polling.poll(f"{mark}{count}").answer()
        assert answer.status == 200, answer
        found += numbers(answer.body)
        if "2" in answer.body.decode().split("\x1e"):
            polling.post("3", f"{mark}pong{count}")
        if last in found:
            return
    raise AssertionError(found)


def numbers(body: bytes) -> list[int]:
    found = []
    for packet in body.decode().split("\x1e"):
        if packet.startswith('42["signal"'):
            found.append(int(packet.partition('"n":')[2].split("}")[0]))
    return found


def test_a_poll_that_comes_again_gets_the_answer_that_the_dead_one_took(
    server: LiveServer, sender: Any, room: str
) -> None:
    polling = joined(server, room)
    found: list[int] = []
    signal(sender, 0)
    numbers_until(polling, 0, "a", found)
    for number in range(1, 5):
        mark = f"poll{number}"
        first = polling.poll(mark)
        if number % 2:
            first.die()  # before anything is there to be told
            signal(sender, number)
        else:
            signal(sender, number)
            assert first.stream.read(1)  # after its answer was on its way
            first.die()
        again = [polling.poll(mark) for _ in range(1 + number % 3)]
        bodies = {asked.answer().body for asked in again}
        assert len(bodies) == 1
        found += numbers(bodies.pop())
        numbers_until(polling, number, f"b{number}-", found)
    assert found == list(range(5))


def test_a_post_that_comes_again_is_handled_once(
    server: LiveServer, connect: Any, room: str
) -> None:
    polling = joined(server, room)
    other = connect(server)
    other.call("join_room", {"room_name": room, "peer_id": "o", "username": "O"})
    body = '42["broadcast",{"event":"x","data":{"n":%d}}]'
    for number in range(5):
        query = f"{polling.query}&t=post{number}"
        Asked(server, query, "POST", body=body % number).die()
        for _ in range(2):
            answer = Asked(server, query, "POST", body=body % number).answer()
            assert (answer.status, answer.body) == (200, b"ok")
    polling.post('42["update_user_data",{"user_data":{"done":true}}]')
    polling.wait_for('42["update_user_data_success"')

    def is_done() -> bool:
        return any(event == "user_data_updated" for event, _ in list(other.received))

    eventually(is_done, "everything came that was sent before")
    came = [body["data"]["n"] for event, body in other.received if event == "broadcast"]
    assert came == list(range(5))


@pytest.mark.parametrize("second", ["", "other"])
def test_a_second_poll_or_post_at_once_ends_the_session(server: LiveServer, second: str) -> None:
    polling = Polling(server).connected()
    taken, refused = polling.poll_twice("one" if second else "", second)
    assert (refused.status, refused.code) == (400, "requests_overlap")
    assert taken.body.decode().split("\x1e")[-1] == "1"
    assert polling.poll().answer().code == "session_unknown"


def test_a_client_without_marks_whose_poll_died_knows_that_it_missed_something(
    server: LiveServer, sender: Any, room: str
) -> None:
    polling = joined(server, room)
    signal(sender, 0)
    polling.wait_for('42["signal"')
    polling.poll().die()
    # The server may have noticed, and then it waits for who comes back.
    assert sender.call("signal", {"to": "p", "data": {"n": 1}})["status"] in ("delivered", "held")
    answer = polling.poll().answer()
    assert answer.code in {"session_unknown", "requests_overlap"} or numbers(answer.body) == [1]


def test_a_mark_that_never_changes_is_none(server: LiveServer) -> None:
    polling = Polling(server, "&t=same").connected()
    polling.query += "&t=same"
    for number in range(6):
        polling.post(f'42{number}["leave_room",{{}}]')
        assert polling.wait_for(f"43{number}[")


def test_a_post_in_chunks_is_handled(server: LiveServer) -> None:
    polling = Polling(server).connected()
    asked = Asked(server, polling.query, "POST", {"Transfer-Encoding": "chunked"})
    for piece in ('427["lea', 've_room",', "{}]"):
        asked.stream.send(f"{len(piece):x}\r\n{piece}\r\n")
    asked.stream.send("0\r\n\r\n")
    assert asked.answer().body == b"ok"
    assert "not_joined" in polling.wait_for("437[")
