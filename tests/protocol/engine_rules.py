"""Engine.IO, version 4, as rules that can be tried on any server (its public protocol text)."""

from __future__ import annotations

import json
from typing import Any

from local_cluster.waiting import eventually
from tests.protocol.wire import UPGRADE, Asked, Polling
from tests.support.streams import CLOSE, WebSocketStream, frame

OPEN_KEYS = {"sid", "upgrades", "pingInterval", "pingTimeout", "maxPayload"}
TEXT, BINARY = 1, 2


class Socket(WebSocketStream):
    """A WebSocket for a session, new or existing, on which nothing was said yet."""

    def __init__(self, server: Any, query: str = "EIO=4&transport=websocket") -> None:
        asked = Asked(server, query, headers=UPGRADE)
        self.socket, self._buffer = asked.stream.socket, b""
        self.status = asked.answer().status
        self._buffer = asked.stream._buffer


def upgrading(polling: Polling) -> Socket:
    return Socket(polling.server, polling.query.replace("polling", "websocket"))


def upgraded(polling: Polling) -> Socket:
    """Upgrade a session in good order."""
    socket = upgrading(polling)
    socket.text("2probe")
    assert socket.wait_for("3probe")
    socket.text("5")
    return socket


def opening_over_polling(server: Any) -> None:
    opening = Polling(server).opening
    assert opening.keys() == OPEN_KEYS
    assert opening["upgrades"] == ["websocket"]
    assert all(isinstance(opening[key], int) for key in ("pingInterval", "pingTimeout"))


def opening_over_websocket(server: Any) -> None:
    socket = Socket(server)
    assert socket.status == 101
    opening = json.loads(socket.wait_for("0")[1:])
    assert opening.keys() == OPEN_KEYS
    assert opening["upgrades"] == []


def each_session_has_an_id_of_its_own(server: Any) -> None:
    assert Polling(server).opening["sid"] != Polling(server).opening["sid"]


def a_handshake_without_a_version_or_transport_is_400(server: Any) -> None:
    for query in (
        *("transport=polling", "EIO=abc&transport=polling", "EIO=4", "EIO=4&transport=abc"),
        *("", "EIO=&transport=polling", "EIO=4&transport="),
    ):
        assert Asked(server, query).answer().status == 400, query


def a_websocket_without_a_version_or_transport_is_not_opened(server: Any) -> None:
    for query in ("transport=websocket", "EIO=abc&transport=websocket", "EIO=4"):
        assert Socket(server, query).status != 101, query


def a_handshake_is_a_get(server: Any) -> None:
    for method in ("POST", "PUT", "DELETE", "PATCH"):
        assert Asked(server, "EIO=4&transport=polling", method).answer().status == 400, method


def an_unknown_session_is_400(server: Any) -> None:
    query = "EIO=4&transport=polling&sid=unknown"
    assert Asked(server, query).answer().status == 400
    assert Asked(server, query, "POST", body="3").answer().status == 400
    assert Socket(server, query.replace("polling", "websocket")).status == 400


def a_post_is_answered_ok(server: Any) -> None:
    answer = Polling(server).post("40")
    assert (answer.status, answer.body) == (200, b"ok")


def packets_of_a_payload_are_handled_in_order(server: Any) -> None:
    polling = Polling(server).connected()
    polling.post("\x1e".join(f'42{number}["leave_room",{{}}]' for number in range(5)))
    came: list[str] = []
    while len(came) < 5:
        packets = polling.poll().answer().body.decode().split("\x1e")
        came += [packet[:3] for packet in packets if packet.startswith("43")]
        if "2" in packets:
            polling.post("3")
    assert came == [f"43{number}" for number in range(5)]


def two_polls_at_once_end_the_session(server: Any) -> None:
    polling = Polling(server)
    polling.post("40")
    polling.poll().answer()
    taken, refused = polling.poll_twice("", "burst")
    assert (taken.status, refused.status) == (200, 400)
    assert taken.body.decode().split("\x1e")[-1] == "1"
    assert polling.poll().answer().status == 400


def two_posts_at_once_end_the_session(server: Any) -> None:
    polling = Polling(server)
    slow = Asked(server, polling.query, "POST", {"Content-Length": "2"})
    slow.stream.send("4")
    # It may not be read yet when the next one comes.
    eventually(lambda: polling.post("3").status == 400, "another one is refused")
    slow.die()
    assert polling.poll().answer().status == 400


def what_is_no_packet_ends_the_session(server: Any) -> None:
    for body in ("abc", "b!", "9", "\x1e", "\x1e3", "3\x1e", "4hello\x1ex"):
        polling = Polling(server)
        assert polling.post(body).status == 400, repr(body)
        assert polling.poll().answer().status == 400, repr(body)


def what_is_no_packet_closes_a_websocket(server: Any) -> None:
    for text in ("abc", "9", "x"):
        socket = Socket(server)
        socket.wait_for("0")
        assert socket.text(text).ends(), text
        # The server closes the TCP connection too (RFC 6455, 7.1.1), which would fail by a timeout.
        socket.read_to_end()


def a_poll_waits_for_the_ping(server: Any) -> None:
    polling = Polling(server)
    for _ in range(2):
        assert polling.poll().answer().body == b"2"
        assert polling.post("3").status == 200


def a_websocket_is_pinged(server: Any) -> None:
    socket = Socket(server)
    socket.wait_for("0")
    for _ in range(2):
        while socket.message()[1] != b"2":
            pass
        socket.text("3")


def who_does_not_answer_a_ping_is_closed(server: Any) -> None:
    socket, polling = Socket(server), Polling(server)
    while (message := socket.message())[0] != CLOSE:
        assert message[1][:1] in (b"0", b"2", b"1")
    while (answer := polling.poll().answer()).status == 200:
        assert answer.body in (b"2", b"1", b"2\x1e1")


def a_close_ends_the_waiting_poll_with_a_noop(server: Any) -> None:
    for _ in range(5):
        polling = Polling(server)
        waiting = polling.poll()
        assert polling.post("1").status == 200
        answer = waiting.answer()
        assert polling.poll().answer().status == 400
        # On threads the later request may be the first to be handled: then there was no poll.
        if answer.status == 200:
            break
    assert (answer.status, answer.body) == (200, b"6")


def a_close_closes_a_websocket(server: Any) -> None:
    socket = Socket(server)
    socket.wait_for("0")
    assert socket.text("1").ends()


def an_upgrade_ends_the_poll_and_goes_on_over_the_websocket(server: Any) -> None:
    polling = Polling(server).connected()
    waiting = polling.poll()
    socket = upgrading(polling)
    socket.text("2probe")
    assert socket.wait_for("3probe") == "3probe"
    assert waiting.answer().body == b"6"
    assert polling.poll().answer().body == b"6"
    socket.text("5").text('427["leave_room",{}]')
    assert socket.wait_for("437[")


def nothing_is_lost_by_an_upgrade(server: Any) -> None:
    polling = Polling(server).connected()
    polling.post('421["leave_room",{}]')
    socket = upgraded(polling)
    assert socket.text('422["leave_room",{}]').wait_for("432[")


def requests_after_an_upgrade_are_400_and_change_nothing(server: Any) -> None:
    polling = Polling(server).connected()
    socket = upgraded(polling)
    socket.text('421["leave_room",{}]')
    assert socket.wait_for("431[")
    assert polling.poll().answer().status == 400
    assert polling.post("41").status == 400
    assert upgrading(polling).status != 101
    assert socket.text('422["leave_room",{}]').wait_for("432[")


def a_websocket_that_does_not_probe_changes_nothing(server: Any) -> None:
    polling = Polling(server).connected()
    for first in (frame(TEXT, b"5"), frame(TEXT, b"2other-than-probe"[:1]), frame(CLOSE, b"")):
        upgrading(polling).send(first).close()
    assert polling.post('428["leave_room",{}]').status == 200
    assert polling.wait_for("438[")


def binary_data_is_a_message(server: Any) -> None:
    polling = Polling(server).connected()
    polling.post('451-3["leave_room",{"_placeholder":true,"num":0}]\x1ebAQIDBA==')
    assert polling.wait_for("433[")
    socket = Socket(server)
    socket.wait_for("0")
    socket.text("40").wait_for("40")
    socket.text('451-3["leave_room",{"_placeholder":true,"num":0}]')
    assert socket.send(frame(BINARY, b"\x01\x02")).wait_for("433[")


RULES = [
    opening_over_polling,
    opening_over_websocket,
    each_session_has_an_id_of_its_own,
    a_handshake_without_a_version_or_transport_is_400,
    a_websocket_without_a_version_or_transport_is_not_opened,
    a_handshake_is_a_get,
    an_unknown_session_is_400,
    a_post_is_answered_ok,
    packets_of_a_payload_are_handled_in_order,
    two_polls_at_once_end_the_session,
    two_posts_at_once_end_the_session,
    what_is_no_packet_ends_the_session,
    what_is_no_packet_closes_a_websocket,
    a_poll_waits_for_the_ping,
    a_websocket_is_pinged,
    who_does_not_answer_a_ping_is_closed,
    a_close_ends_the_waiting_poll_with_a_noop,
    a_close_closes_a_websocket,
    an_upgrade_ends_the_poll_and_goes_on_over_the_websocket,
    nothing_is_lost_by_an_upgrade,
    requests_after_an_upgrade_are_400_and_change_nothing,
    a_websocket_that_does_not_probe_changes_nothing,
    binary_data_is_a_message,
]
