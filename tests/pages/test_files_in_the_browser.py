"""Files on a room's page: chosen, dropped, several at once, refused, cancelled, deleted."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

from local_cluster.live_server import LiveServer
from local_cluster.waiting import eventually
from tests.pages.conftest import Visit
from tests.support.axe import findings
from tests.support.paths import SAMPLES
from tests.support.visitors import room_path, text_file


def test_several_files_at_once_become_tiles_that_everybody_sees(visit: Visit, room: str) -> None:
    ada, bo = visit(room_path(room)), visit(room_path(room))
    assert ada.page.is_disabled("#file-input")
    ada.join("Ada")
    names = ["photo.png", "photo.webp", "notes.pdf", "notes.docx", "notes.txt"]
    ada.page.set_input_files("#file-input", [str(SAMPLES / name) for name in names])
    for name in names:
        bo.sees("#files .file", name)
    assert "Ada" in bo.sees("#files .file", "photo.png").inner_text()
    picture = bo.page.locator("#files .file", has_text="photo.png").locator("img")
    picture.scroll_into_view_if_needed()
    eventually(
        lambda: picture.evaluate("image => image.naturalWidth > 0"), "the thumbnail is there"
    )
    bo.sees("#activity", "uploaded")
    assert bo.page.locator("[data-delete]").count() == 0

    assert (picture.get_attribute("src") or "").endswith("/thumbnail")
    own = ada.sees("#files .file", "notes.pdf")
    own.get_by_role("button", name="Delete").click()
    bo.sees_no("#files .file", "notes.pdf")


def test_a_bad_file_is_refused_in_words_and_leaves_nothing_behind(
    visit: Visit, site: LiveServer, room: str
) -> None:
    ada = visit(room_path(room))
    ada.join("Ada")
    before = site.stored_files()
    ada.page.set_input_files("#file-input", text_file('not"a<b>.jpg', 10))
    refused = ada.sees(".upload.refused", "not a JPEG picture, as its extension")
    assert 'not"a<b>.jpg' in refused.inner_text()
    refused.get_by_role("button", name="Dismiss").click()
    ada.sees_no(".upload")
    assert site.stored_files() == before


def test_a_file_that_is_too_large_is_refused_without_sending_it(
    visit: Visit, new_server: Callable[..., LiveServer], room: str
) -> None:
    ada = visit(room_path(room), server=new_server(PRESENCE_MAX_UPLOAD_BYTES=2048))
    ada.join("Ada")
    ada.page.set_input_files("#file-input", text_file("large.txt", 2049))
    ada.sees(".upload.refused", "larger than the 2.0 KiB")
    assert not [url for url in ada.requests if url.endswith("/upload")]


def test_an_upload_shows_its_progress_and_can_be_cancelled(
    visit: Visit, site: LiveServer, room: str
) -> None:
    ada = visit(room_path(room))
    ada.join("Ada")
    slow_network = ada.page.context.new_cdp_session(ada.page)
    slow_network.send("Network.enable")
    limits = {"offline": False, "latency": 0, "downloadThroughput": -1, "uploadThroughput": 400_000}
    slow_network.send("Network.emulateNetworkConditions", limits)
    ada.page.set_input_files("#file-input", text_file("slow.txt", 4_000_000))
    ada.sees(".upload-state", "Sending, ")
    progress = ada.page.locator(".upload progress")
    eventually(lambda: 0 < float(progress.evaluate("bar => bar.value")) < 1, "some of it is sent")
    ada.page.get_by_role("button", name="Cancel").click()
    ada.sees_no(".upload")
    ada.sees("#files", "No files yet")
    eventually(
        lambda: (
            not [name for name in site.stored_files() if "partial" in name or "pending" in name]
        ),
        "what was received is thrown away",
    )


def test_an_upload_goes_on_when_the_network_is_back(visit: Visit, room: str) -> None:
    ada, bo = visit(room_path(room)), visit(room_path(room))
    ada.join("Ada")
    network = ada.page.context.new_cdp_session(ada.page)
    network.send("Network.enable")
    slow = {"offline": False, "latency": 0, "downloadThroughput": -1, "uploadThroughput": 600_000}
    network.send("Network.emulateNetworkConditions", slow)
    ada.page.set_input_files("#file-input", text_file("long.txt", 2_000_000))
    progress = ada.page.locator(".upload progress")
    eventually(lambda: float(progress.evaluate("bar => bar.value")) > 0, "some of it is sent")
    network.send("Network.emulateNetworkConditions", {**slow, "offline": True})
    ada.sees(".upload-state", "Waiting for the network")
    network.send("Network.emulateNetworkConditions", {**slow, "uploadThroughput": -1})
    ada.sees(".upload-state", "Uploaded")
    bo.sees("#files .file", "long.txt")


# A file that is dropped onto an element; what the browser would do with it is told.
DROP: Any = """(element, names) => {
  const data = new DataTransfer();
  const options = { dataTransfer: data, bubbles: true, cancelable: true };
  const file = (name) => new File(["Some words.\\n"], name, { type: "text/plain" });
  for (const name of names) data.items.add(file(name));
  const events = ["dragenter", "dragover", "drop"].map((type) => new DragEvent(type, options));
  for (const event of events) element.dispatchEvent(event);
  return events.at(-1).defaultPrevented ? "kept" : "opened";
}"""


def test_files_are_dropped_anywhere_on_the_page(visit: Visit, room: str) -> None:
    ada = visit(room_path(room))
    ada.is_live()
    assert ada.page.locator("#files-card").evaluate(DROP, ["early.txt"]) == "kept"
    ada.sees("#files-problem", "Join the room to add files.")
    ada.join("Ada")
    assert ada.page.locator("#files-card").evaluate(DROP, ["dropped.txt", "too.txt"]) == "kept"
    assert ada.page.locator(".top").evaluate(DROP, ["beside.txt"]) == "kept"
    for name in ("dropped.txt", "too.txt", "beside.txt"):
        ada.sees("#files .file", name)
    ada.sees_no("#files-problem")


def test_a_deletion_can_be_taken_back_for_some_seconds(visit: Visit, room: str) -> None:
    ada, bo = visit(room_path(room)), visit(room_path(room))
    ada.join("Ada")
    ada.page.set_input_files("#file-input", [text_file("a.txt", 9), text_file("b.txt", 9)])
    for name in ("a.txt", "b.txt"):
        ada.page.get_by_role("button", name=f"Delete {name}").press("Enter")
        ada.sees_no("#files .file", name)
    ada.page.get_by_role("button", name="Undo: keep a.txt").press("Enter")
    ada.sees("#files .file", "a.txt")
    assert ada.page.evaluate("document.activeElement.textContent") == "Delete a.txt"
    bo.sees_no("#files .file", "b.txt")
    ada.sees_no("#deletions li")
    # Whoever leaves the page meanwhile has deleted it all the same.
    ada.page.get_by_role("button", name="Delete a.txt").press("Enter")
    ada.open("/clients")
    bo.sees_no("#files .file", "a.txt")


PASTE: Any = """async () => {
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = 4;
  const blob = await new Promise((resolve) => canvas.toBlob(resolve));
  const data = new DataTransfer();
  data.items.add(new File([blob], "image.png", { type: "image/png" }));
  const options = { clipboardData: data, bubbles: true, cancelable: true };
  const event = new ClipboardEvent("paste", options);
  document.body.dispatchEvent(event);
}"""


def test_a_picture_is_pasted_and_looked_at_over_the_page(visit: Visit, room: str) -> None:
    ada = visit(room_path(room))
    ada.join("Ada")
    ada.page.set_input_files("#file-input", str(SAMPLES / "photo.png"))
    ada.sees("#files .file", "photo.png")
    ada.page.evaluate(PASTE)
    ada.sees("#files .file", "pasted ")
    assert not [url for url in ada.requests if "lightbox" in url]
    ada.page.locator("#files .file a", has_text="photo.png").press("Enter")
    ada.sees(".lightbox[data-state=shown]")
    assert findings(ada) == []
    assert "2 of 2" in ada.page.inner_text(".lightbox-bar")
    ada.page.keyboard.press("ArrowRight")
    ada.sees(".lightbox-bar", "pasted ")
    ada.page.keyboard.press("Escape")
    ada.sees_no(".lightbox")
    ada.page.set_input_files("#file-input", str(SAMPLES / "notes.pdf"))
    ada.page.locator("#files .file a", has_text="notes.pdf").press("Enter")
    ada.sees(".lightbox[data-state=shown] iframe")
    assert [url for url in ada.requests if url.endswith("/preview")]
    ada.page.get_by_role("button", name="Next file").press("Enter")
    ada.sees(".lightbox[data-state=shown] img")
    ada.page.keyboard.press("Escape")
    # The focus is where one has gone on to, not where one began.
    ada.page.wait_for_function("document.activeElement.textContent.includes('pasted')")


PIXEL = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010800000000"
    "3a7e9b550000000a49444154789c636000000002000148afa4710000000049454e44ae426082"
)


def test_an_inline_avatar_is_sent_once_and_not_with_each_change(visit: Visit, room: str) -> None:
    picture = base64.b64encode(PIXEL).decode()
    ada, bo = visit(room_path(room)), visit(room_path(room))
    bo.join("Bo")
    ada.join("Ada")
    for number in (1, 2):
        ada.edit(f'{{"n": {number}, "avatar": "data:image/png;base64,{picture}"}}')
        ada.page.click("#data-form button.primary")
        bo.sees("#people .person", f"n {number}")
    face = bo.person("Ada").locator("img.face")
    assert face.evaluate("image => image.decode().then(() => image.naturalWidth)") == 1
    assert picture not in bo.page.content()
    assert len([url for url in bo.requests if "/avatars/" in url]) == 1


def test_the_focus_stays_among_the_files_when_one_is_deleted(visit: Visit, room: str) -> None:
    ada = visit(room_path(room))
    ada.join("Ada")
    ada.page.set_input_files("#file-input", [text_file("a.txt", 9), text_file("b.txt", 9)])
    for name in ("a.txt", "b.txt"):
        ada.page.get_by_role("button", name=f"Delete {name}").wait_for()
    for name, then in (("a.txt", "Delete b.txt"), ("b.txt", "file-input")):
        ada.page.get_by_role("button", name=f"Delete {name}").press("Enter")
        ada.sees_no("#files .file", name)
        focused = ada.page.evaluate(
            "(({ id, textContent }) => id || textContent)(document.activeElement)"
        )
        assert focused == then


def test_a_link_says_what_it_does_with_a_file(visit: Visit, room: str) -> None:
    ada = visit(room_path(room))
    ada.join("Ada")
    names = ["photo.png", "notes.txt"]
    ada.page.set_input_files("#file-input", [str(SAMPLES / name) for name in names])
    for name, says, target in (("photo.png", "opens", "_blank"), ("notes.txt", "downloads", None)):
        link = ada.sees("#files .file", name).locator("a")
        assert says in (link.text_content() or "")
        assert link.get_attribute("target") == target


def test_on_a_narrow_phone_all_of_a_picture_and_its_buttons_are_within_reach(
    visit: Visit, room: str
) -> None:
    ada = visit(room_path(room), width=360)
    ada.join("Ada")
    picture = (SAMPLES / "photo.png").read_bytes()
    for name in ("a picture whose name is longer than a phone is wide, by far.png", "b.png"):
        named: Any = {"name": name, "mimeType": "image/png", "buffer": picture}
        ada.page.set_input_files("#file-input", named)
        ada.sees("#files .file", name)
    ada.sees("#files .file", "longer than a phone").locator("a").click()
    ada.sees(".lightbox[data-state=shown]")
    inside = ada.page.locator(".lightbox :is(button, a, p, img)").filter(visible=True).all()
    assert len(inside) == 6
    for part in inside:
        box = part.bounding_box()
        assert box
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= 360
