"""Two people at a server that stands below a path of a site: they meet, call, and share a file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from local_cluster.live_server import LiveServer
from local_cluster.private_nginx import PrivateNginx
from local_cluster.waiting import eventually
from tests.support.paths import ROOT, SAMPLES
from tests.support.visitors import Visitor

if TYPE_CHECKING:
    from playwright.sync_api import Browser

BELOW = (ROOT / "deploy" / "nginx-below-a-path.conf").read_text()
ELSEWHERE = "location / { return 404 'another application'; }"


def test_people_meet_call_and_share_files_below_a_path(
    chromium: Browser, behind: LiveServer
) -> None:
    site = f"server {{\n listen 80 default_server;\n {BELOW}\n {ELSEWHERE}\n}}\n"
    nginx = PrivateNginx({"w1": behind.port}, site)
    visitors = []
    try:
        nginx.start()
        for name in ("Ada", "Bo"):
            visitor = Visitor(chromium, f"{nginx.url}/presence")
            visitors.append(visitor)
            visitor.open("/")
            visitor.page.fill("[name=name]", "below")
            visitor.page.keyboard.press("Enter")
            visitor.page.wait_for_url("**/presence/rooms/below")
            visitor.is_live()
            visitor.join(name)
        ada, bo = visitors
        for visitor in visitors:
            visitor.call()
        ada.sees_in_call("Bo")
        for visitor in visitors:
            visitor.fold_call()
        ada.page.set_input_files("#file-input", str(SAMPLES / "photo.png"))
        bo.sees("#files .file", "photo.png")
        picture = bo.page.locator("#files .file").locator("img")
        picture.scroll_into_view_if_needed()
        eventually(lambda: picture.evaluate("image => image.naturalWidth > 0"), "the picture")
        ada.sees("#files .file", "photo.png").get_by_role("button", name="Delete").click()
        bo.sees_no("#files .file", "photo.png")
        for visitor in visitors:
            asked = [url for url in visitor.requests if url.startswith("http")]
            outside = [url for url in asked if not url.startswith(f"{nginx.url}/presence")]
            # The browser asks for it by itself.
            assert [url for url in outside if not url.endswith("/favicon.ico")] == []
            assert visitor.errors == []
    finally:
        for visitor in visitors:
            visitor.close()
        nginx.close()
