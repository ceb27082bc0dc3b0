"""The stage of a call: by keyboard, on a phone, in forced colours, and at rest."""

from __future__ import annotations

from typing import Any

from local_cluster.waiting import eventually
from tests.pages.conftest import Visit
from tests.support.axe import findings
from tests.support.visitors import Visitor, room_path


def call_of_two(visit: Visit, room: str, **options: Any) -> tuple[Visitor, Visitor]:
    ada, bo = visit(room_path(room), **options), visit(room_path(room))
    for visitor, name in ((ada, "Ada"), (bo, "Bo")):
        visitor.join(name)
        visitor.call()
    ada.sees_in_call("Bo")
    return ada, bo


def test_axe_core_finds_nothing_in_any_state_of_a_call(visit: Visit, room: str) -> None:
    ada = visit(room_path(room))
    ada.join("Ada")
    ada.page.click("#call-check")
    ada.page.select_option("#preview-camera", "none")
    assert findings(ada) == []
    ada.page.click("#preview-join")
    ada.sees("#alone")
    assert findings(ada) == []
    bo = visit(room_path(room))
    bo.join("Bo")
    bo.call(microphone="test")
    bo.page.click("#call-screen")
    ada.sees("#large .tile", "Screen of Bo")
    ada.page.click("#call-lines")
    ada.sees("#links .connected", "direct")
    assert findings(ada) == []
    ada.page.set_viewport_size({"width": 360, "height": 700})
    ada.page.click(".side-close:visible")
    assert findings(ada) == []
    ada.page.click("#call-chat")
    assert findings(ada) == []
    ada.page.keyboard.press("Escape")
    ada.page.click("#call-devices")
    assert findings(ada) == []
    ada.page.keyboard.press("Escape")
    ada.fold_call()
    assert findings(ada) == []


def test_a_phone_shows_one_large_and_a_strip_of_the_others(visit: Visit, room: str) -> None:
    ada, bo = call_of_two(visit, room, width=360)
    large = ada.sees("#large .tile", "Bo").bounding_box()
    small = ada.sees("#tiles .tile", "You").bounding_box()
    assert large
    assert small
    assert large["height"] > 4 * small["height"]
    assert small["y"] > large["y"] + large["height"]
    # All of the bar is within reach, and large enough for a thumb.
    for button in ada.page.locator(".stage-bar button:visible").all():
        box = button.bounding_box()
        assert box
        assert (box["x"] >= 0, box["x"] + box["width"] <= 360) == (True, True)
        assert (box["width"] >= 44, box["height"] >= 44) == (True, True)
    ada.page.get_by_role("button", name="Enlarge You").click()
    ada.sees("#large .tile", "You")
    bo.page.click("#call-screen")
    ada.page.get_by_role("button", name="Shrink You").click()
    ada.sees("#large .tile", "Screen of Bo")
    assert ada.page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_a_call_is_used_with_the_keyboard_alone(visit: Visit, room: str) -> None:
    ada, bo = visit(room_path(room)), visit(room_path(room))
    bo.join("Bo")
    bo.call(microphone="test")
    keyboard = ada.page.keyboard
    ada.page.focus("#username")
    keyboard.type("Ada")
    keyboard.press("Tab")
    keyboard.press("Tab")
    keyboard.press("Enter")
    ada.sees("#preview-join:focus")
    keyboard.press("Enter")
    ada.sees("#call-microphone:focus")
    bo.sees_in_call("Ada")
    keyboard.press("m")
    bo.sees(".tile:not(.own)", "muted")
    keyboard.press("v")
    bo.sees(".tile:not(.own)", "camera off")
    ada.sees("#call-camera", "Start camera")
    # In a field the keys are letters.
    keyboard.press("Tab")
    keyboard.press("Tab")
    keyboard.press("Tab")
    keyboard.press("Enter")
    ada.sees("#chat-text:focus")
    keyboard.type("mv")
    keyboard.press("Enter")
    bo.sees("#call-chat", "1 new")
    ada.sees("#call-microphone", "Unmute")
    # The side first, then the stage: Escape ends nothing.
    keyboard.press("Escape")
    ada.sees("#call-chat:focus")
    keyboard.press("Escape")
    ada.sees("#stage-open:focus")
    ada.sees("#people .person", "Bo")
    assert ada.page.evaluate("document.querySelectorAll('dialog:modal').length") == 0
    keyboard.press("Enter")
    ada.sees("#call-microphone:focus")
    while ada.page.evaluate("document.activeElement.id") != "call-leave":
        keyboard.press("Tab")
    keyboard.press("Enter")
    ada.sees("#call-button:focus")
    bo.sees("#stage-news", "Ada is no longer in the call")


def test_in_forced_colours_nothing_is_said_by_colour_alone(visit: Visit, room: str) -> None:
    ada, bo = call_of_two(visit, room, forced_colors="active")
    bo.page.click("#call-devices")
    bo.page.select_option("#preview-microphone", "test")
    bo.page.click("#preview-join")
    speaking = ada.sees(".tile.speaks", "speaking")
    outline = "one => getComputedStyle(one, '::after').borderTopStyle"
    assert speaking.evaluate(outline) == "double"
    seen = """one => {
      const { color, backgroundColor } = getComputedStyle(one);
      return color !== backgroundColor;
    }"""
    for button in ada.page.locator(".stage-bar button:visible").all():
        assert button.evaluate(seen)
        assert button.inner_text().strip()
    ada.sees("#call-microphone.off", "Unmute")


def test_whatever_the_page_is_a_call_has_the_colours_of_its_dark(visit: Visit, room: str) -> None:
    ada = visit(room_path(room), color_scheme="light")
    ada.join("Ada")
    ada.call()
    ink = "one => [getComputedStyle(one).color, getComputedStyle(one).backgroundColor]"
    call = ada.sees("#stage").evaluate(ink)
    page = ada.page.locator("html")
    assert page.evaluate(ink) != call
    ada.page.emulate_media(color_scheme="dark")
    assert page.evaluate(ink) == call
    assert ada.sees("#stage").evaluate(ink) == call


# Keeps the connections, so that one can seem to be interrupted.
KEEPING = """
  window.kept = [];
  const Original = window.RTCPeerConnection;
  window.RTCPeerConnection = class extends Original {
    constructor(...how) {
      super(...how);
      kept.push(this);
    }
  };
"""


def test_an_interrupted_line_is_said_on_the_tile_until_it_is_back(visit: Visit, room: str) -> None:
    bo = visit(room_path(room))
    bo.join("Bo")
    bo.call()
    ada = visit("/clients")
    ada.page.add_init_script(KEEPING)
    ada.open(room_path(room))
    ada.join("Ada")
    ada.call()
    ada.sees_in_call("Bo")
    ada.page.evaluate(
        """() => {
          const pc = kept.at(-1);
          const state = { value: "disconnected", configurable: true };
          Object.defineProperty(pc, "connectionState", state);
          pc.dispatchEvent(new Event("connectionstatechange"));
        }"""
    )
    ada.sees(".tile.dark[data-state=recovering]", "Bo")
    ada.sees(".tile:not(.own)", "reconnecting")
    ada.page.evaluate(
        """() => {
          const pc = kept.at(-1);
          delete pc.connectionState;
          pc.dispatchEvent(new Event("connectionstatechange"));
        }"""
    )
    ada.sees_in_call("Bo")
    ada.sees_no(".tile", "reconnecting")
    ada.page.click("#call-lines")
    ada.sees("#links .connected dl", "recovering")


# A browser that plays no sound before somebody has touched the page.
SILENT = """
  const { play } = HTMLMediaElement.prototype;
  HTMLMediaElement.prototype.play = function () {
    const mayPlay = this.muted || window.touched;
    return mayPlay ? play.call(this) : Promise.reject(new DOMException("", "NotAllowedError"));
  };
"""


def test_where_the_browser_plays_no_sound_unasked_one_click_turns_it_on(
    visit: Visit, room: str
) -> None:
    bo = visit(room_path(room))
    bo.join("Bo")
    bo.call(microphone="test")
    ada = visit("/clients")
    ada.page.add_init_script(SILENT)
    ada.open(room_path(room))
    ada.join("Ada")
    ada.call()
    picture = ada.sees_in_call("Bo").locator("video")
    eventually(lambda: picture.evaluate("one => one.currentTime > 0"), "the picture moves")
    ada.page.evaluate("() => (window.touched = true)")
    ada.page.click("#stage-hear")
    ada.sees_no("#stage-hear")
    assert picture.evaluate("one => one.muted || one.paused") is False


# Keeps count of what is done again and again, and of how often the browser is asked for figures.
COUNTING = """
  window.running = new Set();
  window.asked = 0;
  const { setInterval, clearInterval } = window;
  window.setInterval = (...how) => {
    const timer = setInterval(...how);
    running.add(timer);
    return timer;
  };
  window.clearInterval = (timer) => {
    running.delete(timer);
    clearInterval(timer);
  };
  const { getStats } = RTCPeerConnection.prototype;
  RTCPeerConnection.prototype.getStats = function (...how) {
    window.asked += 1;
    return getStats.apply(this, how);
  };
"""


def test_nothing_is_measured_without_a_call_nor_figures_unless_somebody_looks(
    visit: Visit, room: str
) -> None:
    ada = visit("/clients")
    ada.page.add_init_script(COUNTING)
    ada.open(room_path(room))
    ada.join("Ada")
    before = ada.page.evaluate("running.size")
    assert not any("call.js" in url or "call-icons" in url for url in ada.requests)
    bo = visit(room_path(room))
    bo.join("Bo")
    for visitor in (ada, bo):
        visitor.call()
    ada.sees_in_call("Bo")
    assert ada.page.evaluate("running.size") > before
    ada.page.evaluate("() => (window.asked = 0)")
    # Longer than figures are good for.
    picture = ada.sees_in_call("Bo").locator("video")
    began = picture.evaluate("one => one.currentTime")
    eventually(lambda: picture.evaluate("one => one.currentTime") > began + 2.2, "it moves", 30)
    assert ada.page.evaluate("asked") == 0
    ada.page.click("#call-lines")
    ada.sees("#links .connected", "direct")
    ada.page.keyboard.press("Escape")
    ada.page.click("#call-leave")
    eventually(lambda: ada.page.evaluate("running.size") == before, "nothing goes on")


# Stands for a browser's own, and notes what is asked of it.
AWAKE = """
  window.awake = [];
  Object.defineProperty(navigator, "wakeLock", { value: { async request(what) {
    awake.push(what);
    const lock = new EventTarget();
    lock.release = () => { awake.push("released"); lock.dispatchEvent(new Event("release")); };
    return lock;
  } } });
"""


def test_the_screen_stays_on_during_a_call(visit: Visit, room: str) -> None:
    ada = visit("/")
    ada.page.add_init_script(AWAKE)
    ada.open(room_path(room))
    ada.join("Ada")
    assert ada.page.evaluate("awake") == []
    ada.call()
    ada.page.wait_for_function("awake.length === 1")
    ada.page.click("#call-leave")
    ada.page.wait_for_function("awake.length === 2")
    assert ada.page.evaluate("awake") == ["screen", "released"]


def test_an_address_in_the_chat_is_a_link_and_all_else_is_text(visit: Visit, room: str) -> None:
    ada, bo = call_of_two(visit, room)
    for visitor in (ada, bo):
        visitor.page.click("#call-chat")
    said = "(see https://example.org/a?b=<c>&d=e.) javascript:alert(1) http:// <a href=x>y</a>"
    ada.page.fill("#chat-text", said)
    ada.page.keyboard.press("Enter")
    line = bo.sees("#chat-log p", "javascript:")
    assert line.inner_text().endswith(said)
    links = line.locator("a")
    assert links.count() == 1
    assert links.get_attribute("href") == "https://example.org/a?b="
    assert links.get_attribute("rel") == "noopener noreferrer"
    assert links.get_attribute("target") == "_blank"
