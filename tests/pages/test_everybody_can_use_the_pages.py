"""The pages by keyboard, with a screen reader, on a phone, without JavaScript, in a busy room."""

from __future__ import annotations

import threading
import time
from collections.abc import Generator
from typing import Any

import pytest
import requests

from local_cluster.live_server import LiveServer
from tests.pages.conftest import Visit
from tests.pages.over_rest import join_over_rest
from tests.support.axe import findings
from tests.support.visitors import room_path, text_file

PEOPLE = 100


@pytest.fixture
def busy(site: LiveServer) -> str:
    """The name of a room with a hundred people in it."""
    for number in range(PEOPLE):
        join_over_rest(site, "busy", f"peer{number:02d}", role="guest", n=number, deep={"a": [1]})
    return "busy"


@pytest.fixture
def updates(site: LiveServer, busy: str) -> Generator[list[float]]:
    """Each of the hundred changes its data once a second; gives how long each round took."""
    stop, rounds = threading.Event(), []

    def feed(numbers: range) -> None:
        session = requests.Session()
        for turn in range(10_000):
            began = time.monotonic()
            for number in numbers:
                path = (
                    f"{site.url}/api/webrtc{room_path(busy)}/update-data?peer_id=peer{number:02d}"
                )
                session.post(path, json={"user_data": {"n": turn}}, timeout=10).raise_for_status()
            rounds.append(time.monotonic() - began)
            if stop.wait(max(0.0, 1 - rounds[-1])):
                return

    threads = [threading.Thread(target=feed, args=(range(start, PEOPLE, 2),)) for start in (0, 1)]
    for thread in threads:
        thread.start()
    yield rounds
    stop.set()
    for thread in threads:
        thread.join()


def test_axe_core_finds_nothing_on_any_page(visit: Visit, site: LiveServer, room: str) -> None:
    join_over_rest(site, room, "ada", role="host")
    visitor = visit("/")
    paths = [
        "/",
        "/?search=nothing",
        "/rooms?name=a/b",
        "/nowhere/at/all",
        "/rooms/empty",
        "/docs/api",
        "/admin",
    ]
    for path in [*paths, room_path(room)]:
        visitor.open(path)
        assert findings(visitor) == [], path
    visitor.open("/doctor")
    visitor.page.locator("#copy-report:enabled").wait_for(timeout=60_000)
    assert findings(visitor) == []


def test_axe_core_finds_nothing_in_a_room_in_use(visit: Visit, room: str) -> None:
    ada = visit(room_path(room))
    ada.join("Ada")
    for name in ("a.txt", "b.jpg"):
        ada.page.set_input_files("#file-input", text_file(name, 10))
    ada.sees("#files .file", "a.txt")
    ada.sees(".upload.refused")
    ada.edit("{")
    ada.page.click("#data-form button.primary")
    ada.page.locator("#events summary").first.click()
    assert findings(ada) == []


def test_a_room_is_used_with_the_keyboard_alone(visit: Visit, room: str) -> None:
    ada = visit(room_path(room))
    ada.is_live()
    keyboard = ada.page.keyboard
    keyboard.press("Tab")
    assert ada.page.evaluate("document.activeElement.className") == "skip"
    keyboard.press("Enter")
    while ada.page.evaluate("document.activeElement.id") != "username":
        keyboard.press("Tab")
    keyboard.type("Ada")
    keyboard.press("Enter")
    ada.sees("#own-data-line:focus")
    keyboard.press("Enter")
    ada.sees("#user-data:focus")
    keyboard.press("Control+A")
    keyboard.type('{"by": "keyboard"}')
    keyboard.press("Tab")
    keyboard.press("Enter")
    ada.sees("#people .self", "by keyboard")
    while ada.page.evaluate("document.activeElement.id") != "leave-button":
        keyboard.press("Tab")
    keyboard.press("Enter")
    ada.sees("#join-button:focus")


def test_what_happens_is_said_to_those_who_do_not_look(visit: Visit, room: str) -> None:
    ada = visit(room_path(room))
    for selector in ("#connection", "#you-news", "#upload-news", "#call-news", "#data-hint"):
        assert ada.page.get_attribute(selector, "role") == "status"
    for selector in ("#join-problem", "#data-problem"):
        assert ada.page.get_attribute(selector, "role") == "alert"


@pytest.mark.parametrize(
    "path",
    ["/", "/doctor", "/clients", "/docs/api", "/admin", "/rooms/empty", "/rooms/" + "x" * 128],
)
def test_nothing_is_cut_off_on_a_narrow_phone(visit: Visit, path: str) -> None:
    visitor = visit(path, width=360)
    assert visitor.page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_that_all_is_well_takes_no_line_of_a_phone(visit: Visit, room: str) -> None:
    for path in ("/", room_path(room)):
        visitor = visit(path, width=360)
        visitor.is_live()
        assert visitor.page.locator("#connection").inner_text() == "Live"
        bar, dot = (visitor.sees(one).bounding_box() for one in (".top nav", "#connection"))
        assert bar
        assert dot
        assert abs(bar["y"] + bar["height"] / 2 - dot["y"] - dot["height"] / 2) < 2


# How much of its placeholder each field shows, for those that show less than all of it.
_CUT_OFF = """() => {
  const pen = document.createElement("canvas").getContext("2d");
  const all = [...document.querySelectorAll("[placeholder]")];
  return all.filter((field) => field.clientWidth).flatMap((field) => {
    const style = getComputedStyle(field);
    pen.font = `${style.fontWeight} ${style.fontSize} ${style.fontFamily}`;
    const room = field.clientWidth - parseFloat(style.paddingLeft) - parseFloat(style.paddingRight);
    const text = pen.measureText(field.placeholder).width;
    return text > room ? [`${field.placeholder}: ${room} of ${text}`] : [];
  });
}"""


@pytest.mark.parametrize("width", [1280, 360])
@pytest.mark.parametrize("path", ["/", "/rooms/empty", "/docs/api"])
def test_what_a_field_is_for_is_not_cut_off(visit: Visit, path: str, width: int) -> None:
    visitor = visit(path, width=width)
    visitor.sees("[placeholder]")
    assert visitor.page.evaluate(_CUT_OFF) == []


@pytest.mark.parametrize("path", ["/", "/doctor", "/nowhere"])
def test_the_banner_is_as_wide_as_the_window(visit: Visit, path: str) -> None:
    for width in (1280, 360):
        visitor = visit(path, width=width)
        banner = visitor.sees(".open-mode").bounding_box()
        assert banner
        assert (banner["x"], banner["width"]) == (0, width)


def test_the_pages_are_read_without_javascript(visit: Visit, site: LiveServer, room: str) -> None:
    join_over_rest(site, room, "ada", role="host")
    reader = visit("/", java_script_enabled=False)
    reader.sees(".notice")
    reader.page.fill("#name", room)
    reader.page.click("text=Open room")
    reader.sees_here("ada")
    reader.sees("#activity", "joined")
    reader.open("/doctor")
    reader.sees("main", "The checks need JavaScript")


def _busy_seconds(network: Any) -> float:
    """Return for how many seconds the page's thread has worked so far."""
    found = network.send("Performance.getMetrics")["metrics"]
    return float(next(one["value"] for one in found if one["name"] == "TaskDuration"))


@pytest.mark.alone
def test_a_hundred_people_changing_each_second_leave_the_page_responsive(
    visit: Visit, busy: str, updates: list[float]
) -> None:
    ada = visit("/")
    ada.page.add_init_script(
        "window.tasks = []; new PerformanceObserver((list) => list.getEntries().forEach("
        "(task) => tasks.push(task.duration))).observe({ type: 'longtask' });"
    )
    ada.open(room_path(busy))
    ada.is_live()
    ada.sees_here("peer99")
    ada.page.fill("#username", "Half a na")
    ada.page.evaluate("tasks.length = 0")
    ada.requests.clear()
    network = ada.page.context.new_cdp_session(ada.page)
    network.send("Network.enable")
    network.send("Performance.enable")
    came: list[int] = []
    network.on("Network.dataReceived", lambda event: came.append(event["encodedDataLength"]))
    busy_before = _busy_seconds(network)
    rounds = len(updates)
    began = time.monotonic()
    while len(updates) < rounds + 10:
        # Turns of the page's own loop: each is answered at once while nothing blocks it.
        ada.page.evaluate("new Promise((resolve) => setTimeout(resolve, 50))")
    seconds = time.monotonic() - began
    fragments = [url for url in ada.requests if "/live" in url]
    assert max(ada.page.evaluate("tasks"), default=0) < 200
    assert sum(came) * 8 / seconds < 300_000
    # A time and no promise: the machine is busy with the server, the feeds and a driver too.
    print(f"{(_busy_seconds(network) - busy_before) / seconds:.0%} of a core")
    assert 0.5 < len(fragments) / seconds < 3
    assert ada.page.input_value("#username") == "Half a na"


# What is drawn of a button that is pressed, and of one that is not.
_PRESSED = """() => ["true", "false"].map((pressed) => {
  const button = document.querySelector(`button[aria-pressed=${pressed}]`);
  return getComputedStyle(button).backgroundColor;
})"""


def test_in_the_systems_own_colours_what_a_colour_says_is_still_said(
    visit: Visit, site: LiveServer, room: str
) -> None:
    join_over_rest(site, room, "ada")
    for scheme in ("light", "dark"):
        visitor = visit("/docs/api", forced_colors="active", color_scheme=scheme)
        pressed, other = visitor.page.evaluate(_PRESSED)
        assert pressed != other
        for path in ("/", "/?view=table", "/admin"):
            visitor.open(path)
            line = visitor.page.locator(".plot-line").first
            line.wait_for(state="attached")
            ink, paper = line.evaluate(
                "line => [getComputedStyle(line).stroke,"
                " getComputedStyle(document.documentElement).backgroundColor]"
            )
            assert ink != paper
            assert ink == visitor.page.evaluate("getComputedStyle(document.body).color")
