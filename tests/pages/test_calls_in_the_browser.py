"""The call panel: people in one room, connected browser to browser."""

from __future__ import annotations

import functools
from typing import Any

from local_cluster.live_server import LiveServer
from local_cluster.waiting import eventually
from tests.pages.conftest import Visit
from tests.pages.over_rest import join_over_rest
from tests.support.visitors import Visitor, room_path


def join_call(visitor: Visitor, source: str) -> None:
    visitor.page.select_option("#call-source", source)
    visitor.page.click("#call-button")
    visitor.sees("#call-panel")


def draws(lines: Any, count: int) -> bool:
    return bool(lines.count() == count)


def plays(visitor: Visitor) -> int:
    """Return how many pictures move."""
    script = """videos => videos.filter(
      (video) => video.videoWidth > 0 && video.currentTime > 0 && !video.paused).length"""
    return int(visitor.page.locator("#tiles video").evaluate_all(script))


def test_three_people_call_each_other_and_chat_over_data_channels(visit: Visit, room: str) -> None:
    ada, bo, cem = (visit(room_path(room)) for _ in range(3))
    # Of two that call each other, the one with the smaller id gives way: every order occurs.
    for visitor, name, peer_id in ((ada, "Ada", "m"), (bo, "Bo", "a"), (cem, "Cem", "z")):
        visitor.join(name, peer_id)
    join_call(ada, "synthetic")
    bo.sees("#call-banner", "A call is going on with Ada")
    assert bo.page.title().startswith("Ada calls · ")
    ada.sees("#links", "not in the call")
    bo.page.select_option("#call-source", "camera")
    bo.page.click("#call-banner-join")
    bo.sees_no("#call-banner")
    assert not bo.page.title().startswith("Ada")
    join_call(cem, "nothing")
    for visitor, others in ((ada, ("Bo", "Cem")), (bo, ("Ada", "Cem")), (cem, ("Ada", "Bo"))):
        for other in others:
            visitor.sees("#links .connected", f"{other}: connected, direct")
    eventually(lambda: plays(ada) == 2 and plays(cem) == 2, "the pictures of Ada and Bo move", 20)

    ada.page.fill("#chat-text", "<b>hello</b> from browser to browser")
    ada.page.keyboard.press("Enter")
    for visitor in (bo, cem):
        assert visitor.sees("#chat-log p", "<b>hello</b>").inner_text().startswith("Ada")
    # Everybody draws the whole triangle: two lines of their own, and one that the others tell of.
    for visitor in (ada, bo, cem):
        lines = visitor.page.locator("#mesh .mesh-line.connected")
        eventually(functools.partial(draws, lines, 3), "three lines")

    cem.page.click("#call-leave")
    ada.sees("#call-news", "Cem is no longer in the call")
    ada.sees_no("#links .connected", "Cem")
    bo.close()
    ada.sees_no("#links .connected")


def test_without_a_camera_a_picture_is_made_and_the_reason_said(visit: Visit, room: str) -> None:
    ada = visit(room_path(room))
    ada.page.add_init_script(
        "navigator.mediaDevices.getUserMedia = () => "
        "Promise.reject(new DOMException('', 'NotFoundError'));"
    )
    ada.page.reload()
    ada.join("Ada")
    join_call(ada, "camera")
    ada.sees("#call-news", "There is no camera or microphone")
    eventually(lambda: plays(ada) == 1, "the synthetic picture moves")
    ada.page.click("#chat-form button")
    ada.page.fill("#chat-text", "anybody?")
    ada.page.click("#chat-form button")
    ada.sees("#chat-problem", "Nobody is connected yet")
    ada.page.click("#leave-button")
    ada.sees_no("#call-panel")


def test_a_room_too_large_for_a_mesh_says_so(visit: Visit, site: LiveServer, room: str) -> None:
    for number in range(12):
        join_over_rest(site, room, f"p{number}")
    ada = visit(room_path(room))
    ada.join("Ada")
    ada.page.click("#call-button")
    ada.sees("#call-news", "13 people are here")
    ada.sees_no("#call-panel")


# Says of each picture whose it is, and whether it is shown.
SHOWN = """tiles => tiles.map((tile) =>
  `${tile.innerText} ${getComputedStyle(tile.querySelector("video")).visibility}`)"""


def test_a_closed_tab_leaves_no_frozen_picture_and_who_is_back_is_not_said_to_be_gone(
    visit: Visit, room: str
) -> None:
    ada, bo = visit(room_path(room)), visit(room_path(room))
    for visitor, name in ((ada, "Ada"), (bo, "Bo")):
        visitor.join(name)
        join_call(visitor, "synthetic")
    eventually(lambda: plays(ada) == 2, "the picture of Bo moves", 20)
    bo.page.click("#call-leave")
    ada.sees("#call-news", "Bo is no longer in the call")
    join_call(bo, "synthetic")
    ada.sees("#links .connected", "Bo")
    ada.sees_no("#call-news", "no longer in the call")
    eventually(lambda: plays(ada) == 2, "the picture of Bo moves again", 20)

    bo.close()
    ada.sees_away("Bo")
    tiles = ada.page.locator("#tiles .tile:not(.own)")
    eventually(lambda: tiles.evaluate_all(SHOWN) == ["Bo · away hidden"], "Bo's is covered", 4)


def test_no_line_of_the_drawing_goes_through_what_is_written(visit: Visit, room: str) -> None:
    people = [visit(room_path(room)) for _ in range(3)]
    for number, visitor in enumerate(people):
        visitor.join(f"Person {number}")
        join_call(visitor, "nothing")
    ada = people[0]
    eventually(functools.partial(draws, ada.page.locator("#mesh .mesh-figure"), 3), "figures", 20)
    order = "nodes => nodes.map((node) => node.tagName).join(' ')"
    assert "text line" not in ada.page.locator("#mesh > *").evaluate_all(order)


def test_from_the_overview_to_a_call_of_two_it_is_three_clicks(
    visit: Visit, site: LiveServer, room: str
) -> None:
    ada = visit("/", permissions=["clipboard-read", "clipboard-write"])
    ada.page.fill("#name", room)
    ada.page.click("text=Open room")
    ada.page.fill("#username", "Ada")
    ada.page.click("#join-call")
    ada.sees("#call-panel")
    ada.page.click("#invite-copy")
    ada.sees("#invite-copy", "Copied")
    link = ada.page.evaluate("navigator.clipboard.readText()")
    assert link == site.url + room_path(room)

    with ada.page.context.expect_page() as opened:
        ada.page.click("text=Open a second tab as somebody else")
    opened.value.close()

    bo = visit(link.removeprefix(site.url))
    bo.page.fill("#username", "Bo")
    bo.page.click("#join-call")
    for visitor, other in ((ada, "Bo"), (bo, "Ada")):
        visitor.sees("#links .connected", f"{other}: connected")
    # Who goes for a moment and comes back is not called again by the same button.
    bo.page.click("#leave-button")
    bo.sees("#join-button")
    bo.page.click("#join-button")
    bo.is_in()
    bo.sees_no("#call-panel")
