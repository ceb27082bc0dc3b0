"""The call: people in one room, connected browser to browser, on a stage that takes the page."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from local_cluster.live_server import LiveServer
from local_cluster.waiting import eventually
from tests.pages.conftest import Visit
from tests.pages.over_rest import join_over_rest
from tests.support.visitors import Visitor, room_path


def draws(lines: Any, count: int) -> bool:
    return bool(lines.count() == count)


def plays(visitor: Visitor) -> int:
    """Return how many pictures move."""
    script = """videos => videos.filter(
      (video) => video.videoWidth > 0 && video.currentTime > 0 && !video.paused).length"""
    return int(visitor.page.locator("#stage video").evaluate_all(script))


def tiles_of(visitor: Visitor) -> list[str]:
    """Return what the tiles say, in a few words each, without those of oneself."""
    words = visitor.page.locator("#stage .tile:not(.own) p").all_inner_texts()
    return sorted(" ".join(text.split()) for text in words)


def test_three_people_call_each_other_and_chat_over_data_channels(visit: Visit, room: str) -> None:
    ada, bo, cem = (visit(room_path(room)) for _ in range(3))
    # Of two that call each other, the one with the smaller id gives way: every order occurs.
    for visitor, name, peer_id in ((ada, "Ada", "m"), (bo, "Bo", "a"), (cem, "Cem", "z")):
        visitor.join(name, peer_id)
    ada.call()
    bo.sees("#call-banner", "A call is going on with Ada")
    assert bo.page.title().startswith("Ada calls · ")
    ada.sees("#alone", "Bo and Cem are in the room")
    # Somebody would see it, so that one looks at oneself first.
    bo.page.click("#call-banner-join")
    bo.sees("#preview-who", "Ada and Cem are here")
    bo.page.click("#preview-join")
    bo.sees("#stage")
    assert not bo.page.title().startswith("Ada")
    cem.call(camera="none")
    for visitor, others in ((ada, ("Bo", "Cem")), (bo, ("Ada", "Cem")), (cem, ("Ada", "Bo"))):
        for other in others:
            visitor.sees_in_call(other)
    eventually(lambda: plays(ada) == 2 and plays(cem) == 2, "the pictures of Ada and Bo move", 20)
    ada.sees_no("#alone")
    ada.sees(".tile.dark", "camera off")
    ada.sees("#stage-who", "3 in the call")

    ada.page.click("#call-chat")
    ada.page.keyboard.type("<b>hello</b> from browser to browser")
    ada.page.keyboard.press("Enter")
    for visitor in (bo, cem):
        visitor.sees("#call-chat", "1 new")
        visitor.page.click("#call-chat")
        assert visitor.sees("#chat-log p", "<b>hello</b>").inner_text().startswith("Ada")
    # Everybody draws the whole triangle: two lines of their own, and one that the others tell of.
    for visitor in (ada, bo, cem):
        visitor.page.click("#call-lines")
        visitor.sees("#links .connected", "connected, direct")
        lines = visitor.page.locator("#mesh .mesh-line.connected")
        eventually(functools.partial(draws, lines, 3), "three lines")

    cem.page.click("#call-leave")
    ada.sees("#stage-news", "Cem is no longer in the call")
    ada.sees_no(".tile", "Cem")
    bo.close()
    ada.sees_no(".tile:not(.own)")


def test_a_room_too_large_for_a_mesh_says_so(visit: Visit, site: LiveServer, room: str) -> None:
    for number in range(12):
        join_over_rest(site, room, f"p{number}")
    ada = visit(room_path(room))
    ada.join("Ada")
    ada.page.click("#call-button")
    ada.sees("#call-news", "13 people are here")
    ada.sees_no("#stage")


def test_a_closed_tab_is_gone_at_once_and_who_is_back_is_not_said_to_be_gone(
    visit: Visit, room: str
) -> None:
    ada, bo = visit(room_path(room)), visit(room_path(room))
    for visitor, name in ((ada, "Ada"), (bo, "Bo")):
        visitor.join(name)
        visitor.call()
    eventually(lambda: plays(ada) == 2, "the picture of Bo moves", 20)
    bo.page.click("#call-leave")
    ada.sees("#stage-news", "Bo is no longer in the call")
    bo.call()
    ada.sees_in_call("Bo")
    ada.sees_no("#stage-news", "no longer in the call")
    eventually(lambda: plays(ada) == 2, "the picture of Bo moves again", 20)
    bo.close()
    eventually(lambda: tiles_of(ada) == [], "no tile stays", 2)


def test_a_browser_that_dies_leaves_no_frozen_picture(visit: Visit, room: str) -> None:
    ada, bo = visit(room_path(room)), visit(room_path(room))
    for visitor, name in ((ada, "Ada"), (bo, "Bo")):
        visitor.join(name)
        visitor.call(microphone="test")
    eventually(lambda: plays(ada) == 2, "the picture of Bo moves", 20)
    # Who has no time to say anything.
    bo.page.evaluate(
        """() => {
          addEventListener("pagehide", (event) => event.stopImmediatePropagation(), true);
          WebSocket.prototype.send = () => {};
        }"""
    )
    bo.close()
    eventually(lambda: tiles_of(ada) == [], "no tile stays", 4)
    ada.sees("#stage-news", "Bo is no longer in the call")


def test_no_line_of_the_drawing_goes_through_what_is_written(visit: Visit, room: str) -> None:
    people = [visit(room_path(room)) for _ in range(3)]
    for number, visitor in enumerate(people):
        visitor.join(f"Person {number}")
        visitor.call(camera="none")
    ada = people[0]
    ada.page.click("#call-lines")
    eventually(functools.partial(draws, ada.page.locator("#mesh .mesh-figure"), 3), "figures", 20)
    order = "nodes => nodes.map((node) => node.tagName).join(' ')"
    assert "text line" not in ada.page.locator("#mesh > *").evaluate_all(order)
    history = ada.sees("#links .connected", "Person 1").inner_text()
    assert "connecting" in history
    assert "host → host, udp" in history


def test_from_the_overview_to_a_call_between_two_tabs_it_is_three_clicks(
    visit: Visit, room: str
) -> None:
    ada = visit("/")
    clicks = 0

    def click(selector: str) -> None:
        nonlocal clicks
        clicks += 1
        ada.page.click(selector)

    ada.page.fill("#name", room)
    click("text=Open room")
    ada.page.fill("#username", "Ada")
    click("#join-call")
    # Nobody would see it, so that one is in the call without looking at oneself first.
    ada.sees("#stage")
    with ada.page.context.expect_page() as opened:
        click("#alone a")
    ada.sees_in_call("Guest")
    opened.value.locator(".tile[data-state=connected]:not(.own)").filter(has_text="Ada").wait_for()
    eventually(lambda: plays(ada) == 2, "both pictures move", 20)
    assert clicks == 3
    # The other tab is a passer-by, whose name is not the browser's from then on.
    assert ada.page.evaluate("localStorage.getItem('presence-username')") == "Ada"
    opened.value.close()


def test_somebody_who_follows_the_invitation_meets_who_sent_it(
    visit: Visit, site: LiveServer, room: str
) -> None:
    ada = visit(room_path(room), permissions=["clipboard-read", "clipboard-write"])
    ada.page.fill("#username", "Ada")
    ada.page.click("#join-call")
    ada.page.click("#alone-copy")
    ada.sees("#alone-copy", "Copied")
    link = ada.page.evaluate("navigator.clipboard.readText()")
    assert link == site.url + room_path(room)
    bo = visit(link.removeprefix(site.url))
    bo.page.fill("#username", "Bo")
    bo.page.click("#join-call")
    bo.page.click("#preview-join")
    for visitor, other in ((ada, "Bo"), (bo, "Ada")):
        visitor.sees_in_call(other)
    # Who goes for a moment and comes back is not called again by the same button.
    bo.fold_call()
    bo.page.click("#leave-button")
    bo.sees_no("#stage")
    bo.page.click("#join-button")
    bo.is_in()
    bo.sees_no("#preview")
    bo.sees_no("#stage")
    # Nor does somebody who went to another page in between get back into it by a reload.
    kept = "sessionStorage.getItem('presence-call')"
    assert ada.page.evaluate(kept)
    ada.open("/clients")
    ada.open(room_path(room))
    ada.is_in()
    assert ada.page.evaluate(kept) is None


# A screen so small that four browsers on one machine have time for it.
SMALL_SCREEN = """
  const devices = navigator.mediaDevices;
  const share = devices?.getDisplayMedia.bind(devices);
  if (devices) devices.getDisplayMedia = () => share({ video: { width: 320, frameRate: 4 } });
"""


def test_a_call_of_four_with_a_screen_outlives_tabs_and_the_server(
    visit: Visit, new_server: Callable[..., LiveServer], room: str
) -> None:
    server = new_server()
    ada, bo, cem, dan = (visit("/clients", server=server) for _ in range(4))
    for visitor, name in ((ada, "Ada"), (bo, "Bo"), (cem, "Cem"), (dan, "Dan")):
        visitor.page.add_init_script(SMALL_SCREEN)
        visitor.open(room_path(room))
        visitor.join(name)
        visitor.call()
    ada.page.click("#call-screen")
    for visitor in (bo, cem, dan):
        visitor.sees("#large .tile", "Screen of Ada")
        eventually(functools.partial(lambda one: plays(one) == 5, visitor), "all five move", 30)
    ada.sees(".tile.own", "Your screen")

    # Another one beside it.
    dan.page.click("#call-screen")
    bo.sees("#large .tile", "Screen of Dan")
    assert bo.page.locator("#large .tile").count() == 2
    bo.page.get_by_role("button", name="Enlarge Cem").click()
    assert bo.page.locator("#large .tile").all_inner_texts()[0].startswith("Cem")
    bo.page.get_by_role("button", name="Shrink Cem").click()
    # The browser has a button of its own, which ends the track.
    dan.page.locator(".own.screen video").evaluate(
        "({ srcObject }) => srcObject.getVideoTracks()[0].dispatchEvent(new Event('ended'))"
    )
    bo.sees_no(".tile", "Screen of Dan")
    dan.sees("#call-screen", "Share screen")

    bo.close()
    for visitor in (ada, cem, dan):
        eventually(
            functools.partial(lambda one: "Bo" not in str(tiles_of(one)), visitor), "gone", 6
        )

    # Whoever has a page loaded anew wants to go on with what it showed.
    cem.page.reload()
    cem.sees("#stage")
    cem.sees("#large .tile", "Screen of Ada")
    eventually(lambda: plays(cem) == 4, "everything moves again", 20)
    ada.sees_in_call("Cem")
    eventually(lambda: tiles_of(ada) == ["Cem muted", "Dan muted"], "Cem's picture is back", 10)

    server.kill()
    ada.sees("#stage-news", "The server does not answer. The call goes on.")
    assert plays(cem) == 4
    ada.page.click("#call-chat")
    ada.page.keyboard.type("still here")
    ada.page.keyboard.press("Enter")
    cem.sees("#call-chat", "1 new")
    server.start()
    for visitor in (ada, cem, dan):
        visitor.sees("#you-news", "The connection is back")
    dan.page.click("#call-leave")
    ada.sees("#stage-news", "Dan is no longer in the call")
    eventually(lambda: tiles_of(ada) == ["Cem muted"], "Cem alone is left")
    ada.page.click("#call-screen")
    cem.sees_no("#large .tile")
    assert plays(cem) == 2
