"""Files on a room's page: chosen, dropped, several at once, refused, cancelled, deleted."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from local_cluster.live_server import LiveServer
from local_cluster.waiting import eventually
from tests.pages.conftest import Visit
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
