"""A person at a browser, in the words of the tests: opens a page, joins, sees, types."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from tests.support.chromium import Profile

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Locator, Page

WAIT_MS = 10_000

# A browser notes every refusal of the server, and every connection that is not to be had.
_EXPECTED_ERRORS = (
    "Failed to load resource",
    "WebSocket connection",
    "Access to fetch",
    "htmx: htmx:error",
)


def room_path(room: str) -> str:
    """Return the path of a room's page."""
    return f"/rooms/{quote(room, safe='')}"


def text_file(name: str, size: int) -> Any:
    """Return a file of words, as Playwright takes it."""
    return {"name": name, "mimeType": "text/plain", "buffer": b"x" * size}


class Visitor:
    """One person's browser, with its own storage, at one page."""

    def __init__(self, chromium: Browser, url: str, width: int = 1280, **options: Any) -> None:
        self.url = url
        self.errors: list[str] = []
        self.requests: list[str] = []
        self._profile = Profile(chromium, viewport={"width": width, "height": 800}, **options)
        self.page: Page = self._profile.new_page()
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("console", self._hear)
        self.page.on("request", lambda request: self.requests.append(request.url))

    def open(self, path: str) -> None:
        """Go to a page of the server."""
        self.page.goto(self.url + path)

    def close(self) -> None:
        """Close the browser's windows, which ends every connection."""
        self._profile.close()

    def sees(self, selector: str, text: str | None = None) -> Locator:
        """Wait until something visible matches, and has this text in it; return it."""
        found = self.page.locator(selector).filter(visible=True)
        if text is not None:
            found = found.filter(has_text=text)
        found.first.wait_for(state="visible", timeout=WAIT_MS)
        return found.first

    def sees_no(self, selector: str, text: str | None = None) -> None:
        """Wait until nothing visible matches."""
        found = self.page.locator(selector).filter(visible=True)
        if text is not None:
            found = found.filter(has_text=text)
        found.first.wait_for(state="hidden", timeout=WAIT_MS)

    def is_live(self) -> None:
        """Wait until the page says that it is live."""
        self.sees("#connection[data-state=live]")

    def join(self, name: str, peer_id: str | None = None) -> None:
        """Join the room whose page is open."""
        if peer_id is not None:
            self.page.click("summary:has-text('Peer id')")
            self.page.fill("#peer-id", peer_id)
        self.page.fill("#username", name)
        self.page.click("#join-button")
        self.is_in()

    def is_in(self) -> None:
        """Wait until the page says that one is in the room."""
        self.sees("#leave-button")

    def call(self, camera: str = "test", microphone: str = "none") -> None:
        """Look at oneself first, choose what to send, and join the call."""
        self.page.click("#call-check")
        self.page.select_option("#preview-camera", camera)
        self.page.select_option("#preview-microphone", microphone)
        self.page.click("#preview-join")
        self.sees("#stage")

    def sees_in_call(self, name: str) -> Locator:
        """Wait until somebody is connected to the call."""
        return self.sees("#stage .tile[data-state=connected]:not(.own)", name)

    def fold_call(self) -> None:
        """Look at the room, while the call goes on."""
        self.page.click("#stage-fold")
        self.sees("#stage-open")

    def edit(self, text: str) -> None:
        """Type one's own user data, without saving it."""
        if not self.page.is_visible("#user-data"):
            self.page.click("#own-data-line")
        self.page.fill("#user-data", text)

    def person(self, name: str) -> Locator:
        """Return how the page shows a person."""
        return self.page.locator("#people .person").filter(has_text=name)

    def sees_here(self, name: str) -> None:
        """Wait until the page shows a person as present."""
        self.sees("#people .person:not(.away)", name)

    def sees_away(self, name: str) -> None:
        """Wait until the page shows a person as having left, in the list that is folded."""
        folded = self.page.locator("#were-here:not([open]) > summary")
        self.page.locator("#people .person.away").filter(has_text=name).wait_for(state="attached")
        if folded.count():
            folded.click()
        self.sees("#people .person.away", name)

    def _hear(self, message: Any) -> None:
        if message.type == "error" and not message.text.startswith(_EXPECTED_ERRORS):
            self.errors.append(message.text)
