"""The whiteboard of a room's page: what one draws and points at, the others see."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from local_cluster.live_server import LiveServer
from local_cluster.waiting import eventually
from tests.pages.conftest import Visit
from tests.support.axe import findings
from tests.support.clients import Client
from tests.support.visitors import Visitor, room_path

# How many points of the canvas are not empty.
_INKED = """() => {
  const canvas = document.getElementById("board-canvas");
  const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  return data.filter((value, index) => index % 4 === 3 && value > 0).length;
}"""


def unfold(visitor: Visitor) -> None:
    visitor.page.click("#board-fold > summary")
    visitor.sees("#board-canvas")


def draw(visitor: Visitor, *, steps: int = 8) -> None:
    """Draw a line over the middle of the board, with the mouse."""
    canvas = visitor.page.locator("#board-canvas")
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    assert box is not None
    mouse = visitor.page.mouse
    mouse.move(box["x"] + box["width"] * 0.25, box["y"] + box["height"] / 2)
    mouse.down()
    mouse.move(box["x"] + box["width"] * 0.75, box["y"] + box["height"] / 2, steps=steps)
    mouse.up()


def inked(visitor: Visitor) -> int:
    found: int = visitor.page.evaluate(_INKED)
    return found


def shows_ink(visitor: Visitor) -> None:
    eventually(lambda: inked(visitor) > 1000, "ink on the board")


def is_empty(visitor: Visitor) -> None:
    eventually(lambda: inked(visitor) == 0, "an empty board")


def test_what_one_draws_and_points_at_others_see(visit: Visit, room: str) -> None:
    ada, bo = visit(room_path(room)), visit(room_path(room))
    for visitor, name in ((ada, "Ada"), (bo, "Bo")):
        visitor.join(name)
        unfold(visitor)
    draw(ada, steps=150)
    shows_ink(ada)
    shows_ink(bo)
    bo.sees("#board-sheet bdi", "Ada")
    bo.sees("#board-unkept", "keeps no strokes")
    ada.page.mouse.move(0, 0)
    bo.sees_no("#board-sheet bdi")
    bo.page.fill("#board-paper", "#ddeeff")
    bo.page.dispatch_event("#board-paper", "change")
    ada.sees("#data .tree", "#ddeeff")
    eventually(lambda: ada.page.input_value("#board-paper") == "#ddeeff", "the paper")
    assert findings(ada) == []
    bo.page.click("#board-clear")
    is_empty(bo)
    is_empty(ada)


def test_who_comes_later_sees_what_the_server_keeps(
    visit: Visit, new_server: Callable[..., LiveServer], room: str
) -> None:
    keeping = new_server(PRESENCE_KEEP_BROADCASTS=500)
    ada = visit(room_path(room), server=keeping)
    ada.join("Ada")
    unfold(ada)
    ada.sees_no("#board-unkept")
    draw(ada)
    bo = visit(room_path(room), server=keeping)
    bo.join("Bo")
    unfold(bo)
    shows_ink(bo)
    ada.page.reload()
    ada.is_in()
    unfold(ada)
    shows_ink(ada)
    ada.page.click("#board-clear")
    is_empty(bo)
    draw(ada)
    shows_ink(bo)
    bo.page.reload()
    bo.is_in()
    unfold(bo)
    shows_ink(bo)
    assert inked(bo) == pytest.approx(inked(ada), rel=0.1)


def test_a_folded_board_points_at_nothing_and_tells_nothing(visit: Visit, room: str) -> None:
    ada, bo = visit(room_path(room)), visit(room_path(room))
    ada.join("Ada")
    bo.join("Bo")
    unfold(ada)
    draw(ada)
    bo.sees_no("#board-canvas")
    assert bo.page.locator("#board-sheet bdi").count() == 0
    # What was said since one came is there, all the same.
    bo.sees("#events .event-name", "broadcast")
    unfold(bo)
    shows_ink(bo)
    bo.sees("#board-sheet bdi", "Ada")
    ada.page.click("#board-fold > summary")
    bo.sees_no("#board-sheet bdi")


def test_what_others_send_as_strokes_breaks_nothing(
    visit: Visit, site: LiveServer, connect: Callable[..., Client], room: str
) -> None:
    ada = visit(room_path(room))
    ada.join("Ada")
    unfold(ada)
    evil = connect(site)
    evil.call("join_room", {"room_name": room, "peer_id": "evil", "username": "<img src=x>"})
    strokes: list[Any] = [None, [], {"points": 3}, {"points": [None, 1, [], ["x", {}], [None]]}]
    for data in strokes:
        assert evil.call("broadcast", {"event": "stroke", "data": data})["ok"]
    paper = {"paper": "url(//elsewhere.test)", "cleared": {}}
    assert evil.call("update_room_data", {"room_data": paper})["ok"]
    cursors: list[Any] = [None, 1, {}, [], ["x", None], [0.5, {}], [[], 5]]
    for cursor in cursors:
        assert evil.call("state", {"state": {"cursor": cursor}})["ok"]
    assert evil.call("state", {"state": {"cursor": [0.5, 0.5]}})["ok"]
    ada.sees("#board-sheet bdi", "<img src=x>")
    draw(ada)
    shows_ink(ada)
    assert ada.page.input_value("#board-paper") == "#fffdf5"


def test_a_narrow_phone_shows_the_whole_board(visit: Visit, room: str) -> None:
    ada = visit(room_path(room), width=360)
    ada.join("Ada")
    unfold(ada)
    assert ada.page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_the_paper_is_light_in_the_dark_too(visit: Visit, room: str) -> None:
    ada = visit(room_path(room), color_scheme="dark")
    ada.join("Ada")
    ada.page.click("#board-fold > summary")
    paper = ada.sees("#board-sheet").evaluate("one => getComputedStyle(one).backgroundColor")
    assert paper == "rgb(255, 253, 245)"
