"""A real browser for tests: one for the session, as Playwright allows one driver in a thread.

Each person in a test has a profile (a browser context), as if at a machine of their own. Profiles
are emptied and used again, for the first page of a new one costs as much as a dozen later ones:
Chromium starts a process for it, and throws it away with the profile's last page.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Generator, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import pytest

from tests.support import needs

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page, ViewportSize

# Chromium keeps two pages of its own ready for its address bar in every window, though nobody types
# there: more than half of what opening a window costs.
_OF_THE_ADDRESS_BAR = ["WebUIOmniboxPopup", "WebUIOmniboxAimPopup", "WebUIOmniboxFullPopup"]
# Of two lists the later one counts, so that ours has to hold what Playwright switches off as well.
_OF_PLAYWRIGHT = [
    "AimEnabled",
    "AvoidCorsURLLoaderRestartOnRedirect",
    "AvoidUnnecessaryBeforeUnloadCheckSync",
    "DestroyProfileOnBrowserClose",
    "HttpsFirstBalancedModeAutoEnable",
    "HttpsUpgrades",
    "LensOverlay",
    "MediaRouter",
    "NetworkTimeServiceQuerying",
    "OptimizationHints",
    "PaintHolding",
    "PreconnectToSearch",
    "ThirdPartyStoragePartitioning",
]

FLAGS = [
    f"--disable-features={','.join(_OF_PLAYWRIGHT + _OF_THE_ADDRESS_BAR)}",
    "--no-sandbox",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    # A camera and a microphone made of nothing, and no question before they are used.
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
    "--autoplay-policy=no-user-gesture-required",
]

_VIEWPORT: ViewportSize = {"width": 1280, "height": 720}


@pytest.fixture(scope="session")
def chromium() -> Generator[Browser]:
    """Chromium without a window."""
    path = needs.program("chromium")
    playwright = needs.python_package("playwright.sync_api")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=path, args=FLAGS)
        yield browser
        browser.close()


class Profile:
    """What one person has of a browser, in which nobody has been before as far as a page can tell.

    `permissions` are what its pages may do, `viewport` is how large they are, and further `options`
    are those of Playwright's contexts.
    """

    # Those that are not in use, each with the empty page that keeps its process.
    _idle: ClassVar[dict[tuple[Browser, str], list[tuple[BrowserContext, Page]]]] = {}

    def __init__(
        self,
        browser: Browser,
        permissions: Sequence[str] = (),
        viewport: ViewportSize | None = None,
        **options: Any,
    ) -> None:
        # Neither of the two makes a profile another one.
        self._viewport = viewport or _VIEWPORT
        self._key = browser, json.dumps(options, sort_keys=True)
        self._kept: Page | None = None
        self._is_closed = False
        if idle := self._idle.setdefault(self._key, []):
            self._context, self._kept = idle.pop()
        else:
            self._context = browser.new_context(**options)
        if permissions:
            self._context.grant_permissions(list(permissions))

    def new_page(self) -> Page:
        """Open a page."""
        page = self._context.new_page()
        page.set_viewport_size(self._viewport)
        return page

    def close(self) -> None:
        """Close its pages, which ends every connection, and let no trace of them stay."""
        # Whoever came after may have it already.
        if self._is_closed:
            return None
        self._is_closed = True
        kept = self._kept
        for page in self._context.pages:
            if page is kept:
                continue
            with contextlib.suppress(Exception):  # a page of no origin, or without JavaScript
                page.evaluate("localStorage.clear()")
            page.unroute_all()
            if kept is None:
                # It keeps what it was given to do, but nobody looks at it any more.
                page.goto("about:blank")
                kept = page
            else:
                page.close()
        if kept is None:
            return self._context.close()
        self._context.clear_cookies()
        self._context.clear_permissions()
        self._idle[self._key].append((self._context, kept))
