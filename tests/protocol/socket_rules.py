"""Socket.IO, version 5, as rules that can be tried on any server (its public protocol text)."""

from __future__ import annotations

import json
from typing import Any

from tests.protocol.engine_rules import BINARY, Socket
from tests.support.streams import frame


def opened(server: Any) -> Socket:
    socket = Socket(server)
    socket.wait_for("0")
    return socket


def connected(server: Any) -> Socket:
    socket = opened(server)
    socket.text("40")
    assert socket.wait_for("40")
    return socket


def a_connect_is_answered_with_an_id(server: Any) -> None:
    for text in ("40", "40{}", '40{"token":"x"}', "40/,", '40/,{"token":"x"}'):
        answer = opened(server).text(text).wait_for("40")
        assert isinstance(json.loads(answer.removeprefix("40").removeprefix("/,"))["sid"], str)


def nothing_but_the_id_is_told_at_connect(server: Any) -> None:
    answer = opened(server).text("40").wait_for("40")
    assert json.loads(answer[2:]).keys() == {"sid"}


def an_unknown_namespace_is_refused_with_an_object(server: Any) -> None:
    for name in ("/random", "/random,", "/random,{}", "/a/b,", "/é,", "/random?token=x,"):
        path = name[: name.find(",")] if "," in name else name
        answer = opened(server).text("40" + name).wait_for("44")
        shown, _, body = answer[2:].partition(",")
        assert shown == path.partition("?")[0]
        assert json.loads(body)["message"], answer


def a_refused_namespace_leaves_the_others_alone(server: Any) -> None:
    socket = connected(server)
    assert socket.text("40/random,").wait_for("44/random,")
    assert socket.text('421["leave_room",{}]').wait_for("431[")


def an_event_in_a_namespace_without_a_socket_is_answered(server: Any) -> None:
    assert opened(server).text('42["leave_room",{}]').wait_for("44", 3)
    assert connected(server).text('42/random,1["leave_room",{}]').wait_for("44/random,", 3)


def a_second_connect_is_answered_and_changes_nothing(server: Any) -> None:
    socket = connected(server)
    assert json.loads(socket.text("40").wait_for("44", 3)[2:])["message"]
    assert socket.text('421["leave_room",{}]').wait_for("431[")


def an_event_is_acknowledged_with_its_number(server: Any) -> None:
    socket = connected(server)
    for number in (0, 1, 456, 10**12):
        answer = socket.text(f'42{number}["leave_room",{{}}]').wait_for(f"43{number}[")
        assert isinstance(json.loads(answer.partition("[")[1] + answer.partition("[")[2]), list)


def an_event_without_a_number_is_not_acknowledged(server: Any) -> None:
    socket = connected(server)
    socket.text('42["leave_room",{}]').text('429["leave_room",{}]')
    assert socket.wait_for("43").startswith("439[")


def an_event_may_have_any_arguments(server: Any) -> None:
    socket = connected(server)
    for number, rest in enumerate(("", ",1", ',"2",{"3":[true]}', ",null,[],0.5")):
        assert socket.text(f'42{number}["leave_room"{rest}]').wait_for(f"43{number}[")


def an_event_with_attachments_is_acknowledged(server: Any) -> None:
    for attachments in (1, 2, 5, 30):
        socket = connected(server)
        places = ",".join(f'{{"_placeholder":true,"num":{at}}}' for at in range(attachments))
        socket.text(f'45{attachments}-789["leave_room",{places}]')
        for _ in range(attachments):
            socket.send(frame(BINARY, b"\x01"))
        assert socket.wait_for("43789[")
        assert socket.text('421["leave_room",{}]').wait_for("431[")


def a_disconnect_leaves_the_connection_open(server: Any) -> None:
    socket = connected(server)
    socket.text("41").text("40")
    assert socket.wait_for("40")
    assert socket.text('421["leave_room",{}]').wait_for("431[")


def what_is_no_packet_closes_the_connection(server: Any) -> None:
    for text in (
        *("4abc", "4", "47", "49[]", "42", "42{}", "42[", '42abc["x"]', "42[]", "42[1]"),
        *('42["connect"]', '42["disconnect"]', '42"x"', '44{"message":"x"}'),
    ):
        assert connected(server).text(text).ends(), text
    assert opened(server).text("4abc").ends()


def a_text_in_the_place_of_an_attachment_closes_the_connection(server: Any) -> None:
    socket = connected(server)
    socket.text('451-["leave_room",{"_placeholder":true,"num":0}]')
    assert socket.text('42["leave_room"]').ends()


def binary_data_that_no_event_announced_closes_the_connection(server: Any) -> None:
    assert connected(server).send(frame(BINARY, b"\x01")).ends()


RULES = [
    a_connect_is_answered_with_an_id,
    nothing_but_the_id_is_told_at_connect,
    an_unknown_namespace_is_refused_with_an_object,
    a_refused_namespace_leaves_the_others_alone,
    an_event_in_a_namespace_without_a_socket_is_answered,
    a_second_connect_is_answered_and_changes_nothing,
    an_event_is_acknowledged_with_its_number,
    an_event_without_a_number_is_not_acknowledged,
    an_event_may_have_any_arguments,
    an_event_with_attachments_is_acknowledged,
    a_disconnect_leaves_the_connection_open,
    what_is_no_packet_closes_the_connection,
    a_text_in_the_place_of_an_attachment_closes_the_connection,
    binary_data_that_no_event_announced_closes_the_connection,
]
