"""Microphone and camera: chosen before a call, refused, missing, changed and pulled out."""

from __future__ import annotations

from local_cluster.waiting import eventually
from tests.pages.conftest import Visit
from tests.support.visitors import Visitor, room_path

# Lets a test decide what the browser lends: nothing for the kinds in `refused`, with that name.
LENDING = """() => {
  const devices = navigator.mediaDevices;
  if (!devices) return;
  const lend = devices.getUserMedia.bind(devices);
  window.refused = JSON.parse(sessionStorage.getItem("refused") ?? "{}");
  window.lent = [];
  devices.getUserMedia = async (wanted) => {
    for (const kind of Object.keys(wanted)) {
      if (refused[kind]) throw new DOMException("", refused[kind]);
    }
    const stream = await lend(wanted);
    lent.push(...stream.getTracks());
    return stream;
  };
  const list = devices.enumerateDevices.bind(devices);
  devices.enumerateDevices = async () => (await list()).filter(
    ({ kind }) => refused[kind.slice(0, 5)] !== "NotFoundError");
}"""


def open_with(visitor: Visitor, **refused: str) -> None:
    """Open the page anew in a browser that does not lend these kinds of devices."""
    visitor.page.add_init_script(f"({LENDING})()")
    visitor.page.reload()
    visitor.page.evaluate("(kinds) => (window.refused = kinds)", refused)


def offers(visitor: Visitor, kind: str, words: str) -> None:
    """Wait until a device is chosen whose name has these words in it."""
    field = visitor.page.locator(f"#preview-{kind}")
    chosen = "(field) => field.selectedOptions[0]?.text ?? ''"
    eventually(lambda: words in field.evaluate(chosen), words)


def test_devices_are_chosen_by_name_heard_and_remembered(visit: Visit, room: str) -> None:
    ada = visit(room_path(room))
    open_with(ada)
    ada.join("Ada")
    ada.page.click("#call-check")
    offers(ada, "camera", "fake_device_0")
    ada.page.select_option("#preview-microphone", label="Fake Audio Input 2")
    # It beeps once a second.
    level = ada.page.locator("#preview-level")
    eventually(lambda: level.evaluate("({ value }) => value > 0.02"), "the level moves")
    ada.page.click("#preview-blind")
    ada.sees(".tile.own", "camera off")
    ada.sees(".tile.own.speaks", "speaking")
    ada.page.click("#call-camera")
    ada.sees_no(".tile.own", "camera off")
    ada.page.click("#call-leave")
    assert ada.sees("#call-button:focus")
    ada.page.click("#call-check")
    offers(ada, "microphone", "Fake Audio Input 2")
    ada.page.keyboard.press("Escape")
    ada.sees_no("#preview")
    ended = "lent.length > 2 && lent.every(({ readyState }) => readyState === 'ended')"
    eventually(lambda: ada.page.evaluate(ended), "everything that was lent is given back")


def test_where_the_browser_refuses_it_is_said_what_to_do(visit: Visit, room: str) -> None:
    ada = visit(room_path(room))
    open_with(ada, audio="NotAllowedError", video="NotAllowedError")
    ada.page.fill("#username", "Ada")
    # Nobody else is here, but there is something to decide.
    ada.page.click("#join-call")
    ada.sees("#preview-problem", "lends no camera or microphone: allow it beside the address")
    ada.page.evaluate("() => (window.refused = {})")
    ada.page.click("#preview-again")
    ada.sees_no("#preview-problem")
    offers(ada, "camera", "fake_device_0")
    ada.page.click("#preview-join")
    ada.sees("#stage")


def test_without_a_camera_the_microphone_alone_will_do(visit: Visit, room: str) -> None:
    ada = visit(room_path(room))
    open_with(ada, video="NotFoundError")
    ada.join("Ada")
    ada.page.click("#call-button")
    ada.sees("#preview-problem", "There is no camera.")
    offers(ada, "camera", "No camera found")
    offers(ada, "microphone", "Fake")
    ada.page.click("#preview-join")
    ada.sees(".tile.own", "camera off")
    ada.page.click("#call-chat")
    ada.page.keyboard.type("anybody?")
    ada.page.keyboard.press("Enter")
    ada.sees("#chat-problem", "Nobody is connected yet")
    ada.fold_call()
    ada.page.click("#leave-button")
    ada.sees_no("#stage")


def test_a_device_that_is_pulled_out_leaves_the_call_going(visit: Visit, room: str) -> None:
    ada, bo = visit(room_path(room)), visit(room_path(room))
    open_with(ada)
    ada.join("Ada")
    ada.page.click("#call-button")
    ada.sees("#stage")
    bo.join("Bo")
    bo.call()
    bo.sees_in_call("Ada")
    bo.sees_no(".tile:not(.own)", "muted")
    pull = """(kind) => {
      const track = lent.findLast((one) => one.kind === kind);
      track.stop();
      track.dispatchEvent(new Event("ended"));
    }"""
    ada.page.evaluate(pull, "audio")
    ada.sees("#stage-news", "The microphone is gone; “Fake")
    ada.page.evaluate(pull, "video")
    ada.sees("#stage-news", "The camera is gone. Choose another.")
    bo.sees(".tile:not(.own)", "camera off")
    bo.sees_no(".tile:not(.own)", "muted")
    # Another is chosen in the call.
    ada.page.click("#call-devices")
    ada.page.select_option("#preview-camera", "test")
    ada.page.select_option("#preview-microphone", "test")
    ada.page.click("#preview-join")
    bo.sees(".tile:not(.own).speaks", "speaking")
    bo.sees_no(".tile:not(.own)", "camera off")
    picture = bo.page.locator(".tile:not(.own) video")
    eventually(lambda: picture.evaluate("one => one.videoWidth") == 320, "the test picture")
    ada.page.keyboard.press("m")
    bo.sees(".tile:not(.own):not(.speaks)", "muted")


def test_the_others_are_heard_on_the_speaker_that_is_chosen(visit: Visit, room: str) -> None:
    ada, bo = visit(room_path(room)), visit(room_path(room))
    bo.join("Bo")
    bo.call(microphone="test")
    ada.join("Ada")
    ada.page.click("#call-check")
    ada.sees("#preview-speaker")
    ada.page.select_option("#preview-speaker", label="Fake Audio Output 2")
    chosen = ada.page.input_value("#preview-speaker")
    ada.page.click("#preview-join")
    heard = ada.sees_in_call("Bo").locator("video")
    eventually(lambda: heard.evaluate("({ sinkId }) => sinkId") == chosen, "Bo is heard there")
    ada.page.click("#call-devices")
    assert ada.page.input_value("#preview-speaker") == chosen
    ada.page.select_option("#preview-speaker", "")
    eventually(lambda: heard.evaluate("({ sinkId }) => sinkId") == "", "and on the usual one again")
