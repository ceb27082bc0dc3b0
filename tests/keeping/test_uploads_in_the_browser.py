"""Whatever was accepted, Chromium runs nothing of it: opened, embedded or asked for as a script."""

from __future__ import annotations

import functools
import http.server
import threading
from collections.abc import Generator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from local_cluster.live_server import LiveServer
from tests.keeping.conftest import Keeper
from tests.keeping.disguises import ACCEPTED, MARK, PAGE
from tests.support import needs
from tests.support.chromium import Profile

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page, Route

# Every way in which a page can take in another file.
EMBEDDED = """<!doctype html><title>harness</title>
<img src="{0}"><iframe src="{0}"></iframe><object data="{0}"></object><embed src="{0}">
<script src="{0}"></script><script type="module" src="{0}"></script>
<link rel="stylesheet" href="{0}"><video src="{0}"></video>"""


@pytest.fixture(scope="module")
def uploaded(tmp_path_factory: pytest.TempPathFactory) -> Generator[dict[str, str]]:
    """A server with every file that is accepted; gives their addresses by what they are."""
    live = LiveServer(tmp_path_factory.mktemp("accepted")).start()
    keeper = Keeper(live)
    keeper.join("r", "ada")
    addresses = {}
    for what, (content, name) in ACCEPTED.items():
        response = keeper.upload("r", "ada", content, name)
        assert response.ok, f"{what}: {response.text}"
        addresses[what] = live.url + response.json()["file_url"]
    yield addresses
    live.kill()


class Visit:
    """A browser that notes whether anything has run in it, with pages of the test's own."""

    def __init__(self, browser: Browser, origin: str) -> None:
        self.profile = Profile(browser)
        self.page: Page = self.profile.new_page()
        self.origin = origin
        self.dialogs: list[str] = []
        self.page.on("dialog", self._note)

    def show(self, body: str, content_type: str = "text/html") -> None:
        """Open a page of the server's own origin that the test has written."""

        def answer(route: Route) -> None:
            route.fulfill(status=200, content_type=content_type, body=body)

        self.page.route(f"{self.origin}/written", answer)
        self.page.goto(f"{self.origin}/written", wait_until="load")
        self.page.unroute(f"{self.origin}/written")

    def open(self, address: str) -> None:
        """Go to an address, which may turn out to be a download."""
        error = ""
        try:
            self.page.goto(address, wait_until="load")
        except needs.python_package("playwright.sync_api").Error as reason:
            error = str(reason)
        assert not error or "Download is starting" in error

    def ran(self) -> bool:
        """Tell whether a script of a file has run."""
        marks = [frame.evaluate(f"window.{MARK} || 0") for frame in self.page.frames[:1]]
        return any(marks) or bool(self.dialogs) or self.page.title() == MARK

    def _note(self, dialog: Any) -> None:
        self.dialogs.append(dialog.message)
        dialog.dismiss()


@pytest.fixture
def visit(chromium: Browser, uploaded: dict[str, str]) -> Generator[Visit]:
    origin = "/".join(next(iter(uploaded.values())).split("/")[:3])
    made = Visit(chromium, origin)
    yield made
    made.profile.close()


def test_the_programs_in_these_files_would_say_so_if_they_ran(visit: Visit) -> None:
    visit.show(PAGE.decode())
    assert visit.ran()
    visit.dialogs.clear()
    visit.show("<!doctype html><title>empty</title>")
    assert not visit.ran()
    visit.page.route(
        f"{visit.origin}/script.gif",
        lambda route: route.fulfill(
            status=200,
            content_type="text/javascript",
            body=ACCEPTED["a GIF that is a script"][0],
        ),
    )
    visit.show(EMBEDDED.format(f"{visit.origin}/script.gif"))
    assert visit.ran(), "a GIF can be a script where it is served as one"


@pytest.mark.parametrize("what", ACCEPTED)
def test_nothing_runs_of_a_file_that_is_opened_or_embedded(
    visit: Visit, uploaded: dict[str, str], what: str
) -> None:
    visit.open(uploaded[what])
    assert not visit.ran()
    visit.show(EMBEDDED.format(uploaded[what]))
    assert visit.page.title() == "harness"
    assert not visit.ran()
    if ACCEPTED[what][1].startswith("photo"):
        width = visit.page.evaluate("document.images[0].naturalWidth")
        assert width == 320, "a picture is shown all the same"


def test_a_page_elsewhere_cannot_run_them_either(
    visit: Visit, uploaded: dict[str, str], tmp_path: Path
) -> None:
    page = "".join(EMBEDDED.format(address) for address in uploaded.values())
    (tmp_path / "index.html").write_text(page)
    with http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), functools.partial(Elsewhere, directory=str(tmp_path))
    ) as elsewhere:
        threading.Thread(target=elsewhere.serve_forever, daemon=True).start()
        visit.page.goto(f"http://127.0.0.1:{elsewhere.server_port}/", wait_until="load")
        assert visit.page.title() == "harness"
        assert visit.page.evaluate("document.images[0].naturalWidth") == 320, "it may show pictures"
        assert not visit.ran()
        elsewhere.shutdown()


class Elsewhere(http.server.SimpleHTTPRequestHandler):
    """Serves a folder, silently."""

    def log_message(self, format: str, *args: Any) -> None:
        pass
