"""The page of somebody whom an admin puts out of a call or a room, and of a room that is closed."""

from __future__ import annotations

import re
from typing import Any

import pytest

from local_cluster.live_server import LiveServer
from tests.access.conftest import Visit
from tests.support.axe import findings
from tests.support.callers import ROOMS, admin, ask
from tests.support.keys import token
from tests.support.visitors import WAIT_MS, Visitor, room_path

ABOVE_THE_FORM = """one => {
  const form = document.getElementById("join-form").getBoundingClientRect();
  return one.getBoundingClientRect().bottom <= form.top;
}"""
# Without scrolling.
SEEN = """one => {
  const { top, bottom } = one.getBoundingClientRect();
  return top >= 0 && bottom <= innerHeight;
}"""


def act(locked: LiveServer, room: str, path: str, **body: Any) -> None:
    """Do something as the room's admin."""
    answer = ask(locked, "POST", f"{ROOMS}/{room}/{path}", admin(room), json=body)
    assert answer.ok, answer.text


def in_call(visit: Visit, room: str, name: str, **options: Any) -> Visitor:
    """Come to a room with a token, and join its call."""
    visitor = visit(f"{room_path(room)}#token={token(name.lower(), room)}", **options)
    visitor.join(name)
    visitor.call()
    return visitor


def test_who_is_kicked_during_a_call_reads_why_and_stands_at_the_way_back(
    visit: Visit, locked: LiveServer, room: str
) -> None:
    ada, eve = in_call(visit, room, "Ada"), in_call(visit, room, "Eve", width=360)
    ada.sees_in_call("Eve")
    act(locked, room, "peers/eve/kick")

    eve.sees_no("#stage")
    said = eve.sees("#you-news.notice", "An admin has put you out")
    eve.page.wait_for_function(SEEN, arg=said.element_handle(), timeout=WAIT_MS)
    assert eve.page.evaluate("document.activeElement.id") == "join-button"
    # It stands above the form that it is about, with an edge where colours are the reader's own.
    assert said.evaluate(ABOVE_THE_FORM)
    eve.page.emulate_media(forced_colors="active")
    assert said.evaluate("one => getComputedStyle(one).borderTopStyle") == "solid"
    eve.page.emulate_media(forced_colors="none")
    eve.sees("#activity", "Eve was put out")
    assert findings(eve) == []
    ada.sees_no("#stage .tile:not(.own)")

    eve.page.keyboard.press("Enter")
    eve.is_in()
    eve.sees("#call-banner", "Ada")
    # It was not Eve who left the call.
    assert eve.page.inner_text("#call-news") == ""
    eve.call()
    eve.sees_in_call("Ada")
    eve.page.click("#call-leave")
    eve.sees("#call-news", "You have left the call.")
    assert eve.page.evaluate("document.activeElement.id") == "call-button"


def test_who_is_banned_during_a_call_is_out_of_it_and_sees_nothing_more(
    visit: Visit, locked: LiveServer, room: str
) -> None:
    ada, eve = in_call(visit, room, "Ada"), in_call(visit, room, "Eve")
    ada.sees_in_call("Eve")
    act(locked, room, "peers/eve/ban", seconds=3600, reason="shouting")
    said = eve.sees("#shut", "The reason given: shouting").inner_text()
    assert re.match(r"You are banned from this room until \d+/\d+/\d+, \d+:\d\d", said), said
    eve.sees_no("#stage")
    eve.sees_no("#you")
    assert findings(eve) == []
    ada.sees_no("#stage .tile:not(.own)")
    ada.fold_call()
    ada.sees("#activity", "Eve was banned")


def test_a_call_that_is_folded_takes_no_focus_from_the_room_when_it_ends(
    visit: Visit, locked: LiveServer, room: str
) -> None:
    eve = in_call(visit, room, "Eve")
    eve.fold_call()
    eve.page.focus("#events-filter")
    act(locked, room, "peers/eve/kick")
    eve.sees("#you-news.notice")
    assert eve.page.evaluate("document.activeElement.id") == "events-filter"


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ({}, "nobody can join until an admin reopens it."),
        ({"seconds": 3600}, " UTC, and nobody can join before."),
        ({"reason": "<img src=x onerror=alert(1)>"}, "given: <img src=x onerror=alert(1)>"),
    ],
    ids=["until further notice", "for an hour", "for a hostile reason"],
)
def test_a_closed_room_says_so_before_anybody_tries_to_join(
    visit: Visit, locked: LiveServer, room: str, body: dict[str, Any], told: str
) -> None:
    ada = visit(f"{room_path(room)}#token={token('ada', room)}")
    ada.join("Ada")
    act(locked, room, "close", **body)
    ada.sees("#closed > .notice", told)
    ada.sees("#you-news.hint", "An admin has closed this room.")

    ada.page.reload()
    ada.sees("#closed > .notice", told)
    ada.sees("#people .empty", "Nobody is here just now.")
    ada.sees_no("#people .to-join")
    assert findings(ada) == []

    ada.is_live()
    act(locked, room, "reopen")
    ada.sees_no("#closed > .notice")
    ada.join("Ada")


def test_who_looks_on_is_told_that_an_empty_room_is_closed_and_that_it_is_open_again(
    visit: Visit, locked: LiveServer, room: str
) -> None:
    act(locked, room, "join", room_name=room, peer_id="root", username="Root")
    act(locked, room, "leave", peer_id="root")
    bo = visit(f"{room_path(room)}#token={token('bo', room)}")
    bo.is_live()
    bo.sees("#people .to-join")
    act(locked, room, "close")
    bo.sees("#closed > .notice")
    act(locked, room, "reopen")
    bo.sees_no("#closed > .notice")
    bo.sees("#people .to-join")


def test_only_who_may_look_at_a_room_is_told_that_it_is_closed(
    visit: Visit, locked: LiveServer, room: str
) -> None:
    act(locked, room, "close", reason="a secret")
    assert "a secret" not in ask(locked, "GET", room_path(room)).text
    eve = visit(f"{room_path(room)}#token={token('eve', f'{room}-other')}")
    eve.sees("#shut")
    assert "a secret" not in eve.page.content()
    # Nobody has ever been there; who may look is told all the same.
    ada = visit(f"{room_path(room)}#token={token('ada', room)}")
    ada.sees("#closed > .notice", "a secret")
