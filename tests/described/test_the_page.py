"""The page of the API has everything that the documents have, and its examples work as copied."""

from __future__ import annotations

import html
import json
import re
import shlex
import subprocess
import sys
from collections.abc import Generator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import requests

from local_cluster.live_server import LiveServer
from tests.support import needs
from tests.support.axe import findings
from tests.support.strict import Body
from tests.support.visitors import WAIT_MS, Visitor

if TYPE_CHECKING:
    from playwright.sync_api import Browser


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Generator[LiveServer]:
    server = LiveServer(tmp_path_factory.mktemp("page")).start()
    yield server
    server.kill()


@pytest.fixture(scope="module")
def page(live: LiveServer) -> str:
    response = requests.get(f"{live.url}/docs/api", timeout=20)
    assert response.status_code == 200
    return response.text


def samples(page: str, label: str) -> list[str]:
    """Return the examples with a label, in their order on the page."""
    found = re.findall(
        rf"<figcaption>{label}</figcaption>\s*<pre[^>]*><code>(.*?)</code>", page, re.S
    )
    return [html.unescape(text) for text in found]


def test_everything_in_the_documents_is_on_the_page(page: str, live: LiveServer) -> None:
    routes: Body = requests.get(f"{live.url}/api/openapi.json", timeout=10).json()
    events: Body = requests.get(f"{live.url}/api/asyncapi.json", timeout=10).json()
    # Where a line may end in a path is no part of it.
    page = page.replace("<wbr>", "")
    for path, item in routes["paths"].items():
        assert f"<code>{path}</code>" in page, path
        for operation in item.values():
            assert operation["summary"].split("`")[0].split("'")[0] in page
    for name in events["operations"]:
        assert f"<code>{re.sub('^(send|receive)_', '', name)}</code>" in page, name
    for document in (routes, events):
        for name in set(re.findall(r'"const": ?"(\w+)"', json.dumps(document))):
            assert name in page, name
    for schema in routes["components"]["schemas"].values():
        for key in (
            schema.get("properties", {}) if "code" not in schema.get("properties", {}) else ()
        ):
            assert key in page, key
    # Whatever a link on the page leads to is there.
    ids = set(re.findall(r'id="([^"]+)"', page))
    assert set(re.findall(r'href="#([^"]+)"', page)) <= ids
    assert not re.findall(r'(?:src|href)="(?:https?:)?//', page)


def test_the_examples_for_curl_work_as_they_are_copied(
    page: str, live: LiveServer, tmp_path: Path
) -> None:
    needs.program("curl")
    (tmp_path / "agenda.txt").write_text("Agenda: everything.\n")
    lines = samples(page, "curl")
    assert len(lines) > 20
    # Joining comes first, and what removes things last.
    order = {"/join": 0, "-F": 1, "/leave": 7, "-X DELETE": 8}
    lines.sort(key=lambda line: next((rank for part, rank in order.items() if part in line), 5))
    for line in lines:
        result = subprocess.run(
            ["bash", "-c", line.replace("curl ", "curl -sS -w '\\n%{http_code}' ", 1)],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=30,
            check=True,
        )
        body, _, status = result.stdout.rpartition("\n")
        # An open server has no admins, this one keeps no events, nobody has uploaded the files of
        # the examples, and who has joined over REST takes no signals.
        codes = ("open_mode", "file_not_found", "upload_not_found", "inactive", "events_not_kept")
        excused = any(f'"code":"{code}"' in body for code in codes)
        assert status.startswith("2") or excused, f"{line}\n{result.stdout}"


def run_all(lines: list[str], command: list[str], folder: Path, between: str) -> list[int]:
    """Run samples one after the other in one process; return the statuses that they print."""
    (folder / "agenda.txt").write_text("Agenda: everything.\n")
    done = subprocess.run(
        [*command, between.join(lines)],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return [int(status) for status in re.findall(r"^([1-5]\d\d) ", done.stdout, re.M)]


def test_the_examples_in_javascript_and_python_ask_for_the_same(
    page: str, live: LiveServer, tmp_path: Path
) -> None:
    # What waits for more to happen would only take long.
    def wanted(label: str) -> list[str]:
        return [text for text in samples(page, label) if "requests." in text or "fetch(" in text]

    scripts = [f"{{\n{line}\n}}" for line in wanted("JavaScript")]
    node = [needs.program("node"), "--input-type=module", "-e"]
    by_node = run_all(scripts, node, tmp_path, "\n")
    by_python = run_all(wanted("Python"), [sys.executable, "-c"], tmp_path, "\n")
    assert len(by_node) == len(by_python) == len(samples(page, "curl"))
    # Each is understood: what is not there, or not for anybody here, is no fault of the sample.
    for statuses in (by_node, by_python):
        assert {200, 201} & set(statuses)
        assert set(statuses) <= {200, 201, 204, 403, 404, 409, 412}, statuses


def test_a_route_is_tried_in_place_and_what_takes_away_is_asked_for_once(
    chromium: Browser, live: LiveServer
) -> None:
    ada = Visitor(chromium, live.url, width=360)
    ada.open("/docs/api")
    ada.page.get_by_role("button", name="Python").click()
    assert ada.page.locator("#join [data-language=Python]").is_visible()
    assert not ada.page.locator("#join [data-language=curl]").is_visible()
    assert not [url for url in ada.requests if "try-it" in url]
    for entry, said in (("#join", None), ("#erase-peer", "takes something away")):
        ada.page.locator(f"{entry} [data-try]").press("Enter")
        form = ada.page.locator(f"{entry} form")
        form.get_by_label("room_name", exact=True).first.fill("tried")
        form.locator("button.primary").press("Enter")
        if said:
            ada.sees(f"{entry} form .hint", said)
            assert not form.locator(".tried-status").count()
            form.get_by_label("room_name", exact=True).first.press("Control+Enter")
        ada.sees(f"{entry} .tried-status", "200")
        ada.sees(f"{entry} .tried", "content-type: application/json")
        # What was sent is there to be sent again, from elsewhere.
        line = ada.sees(f"{entry} .tried", "The same with curl").locator("code").last.inner_text()
        again = subprocess.run(
            [*shlex.split(line), "-s", "-o", "/dev/null", "-w", "%{http_code}"],
            capture_output=True,
            text=True,
            check=True,
            timeout=10,
        )
        assert again.stdout in {"200", "404"}, line
    ada.sees("#erase-peer .tried", "tried")
    ada.page.get_by_role("button", name="Copy: The same with curl").first.wait_for()
    body = ada.page.locator("#join form textarea")
    body.fill("{")
    body.press("Enter")
    ada.sees_no("#join form .problem:not(:empty)")
    body.press("Control+Enter")
    ada.sees("#join form .problem", "not JSON yet")
    assert findings(ada) == []
    assert ada.page.evaluate("document.documentElement.scrollWidth") <= 360
    # The contents are at hand on a phone, and the language is kept.
    ada.page.get_by_role("button", name="Contents").press("Enter")
    ada.page.locator("#contents a", has_text="/ice-servers").click()
    ada.sees_no("#contents")
    # Who has opened them sees how to close them, by the button or by what is beside them.
    for away in ("#contents-button", "#api-search"):
        ada.page.evaluate("scrollTo(0, 0)")
        ada.page.click("#contents-button")
        ada.sees("#contents")
        ada.page.click(away, timeout=WAIT_MS)
        ada.sees_no("#contents")
    ada.page.reload()
    assert ada.page.locator("#join [data-language=Python]").is_visible()
    assert ada.errors == []
    ada.close()


FOLLOWS = """() => {
  const above = [...document.querySelectorAll("[data-entry]")]
    .filter((entry) => entry.getBoundingClientRect().top <= innerHeight / 4);
  const marked = document.querySelector("#contents [aria-current]");
  return marked?.hash === `#${above.at(-1)?.id}`;
}"""


def test_the_contents_say_where_one_is(chromium: Browser, live: LiveServer) -> None:
    ada = Visitor(chromium, live.url)
    ada.open("/docs/api")
    here = ada.page.locator("#contents [aria-current=location]")
    for entry in ("get-activity", "broadcast", "join"):
        ada.page.locator(f"#contents [data-for={entry}] a").click()
        ada.sees(f"#contents [data-for={entry}] [aria-current]")
        assert here.count() == 1
    # As one reads on, they follow, over whatever one leaps, and stay to be seen.
    ada.page.mouse.move(900, 400)
    for _ in range(8):
        ada.page.mouse.wheel(0, 2500)
        ada.page.wait_for_function(FOLLOWS, timeout=WAIT_MS)
    ada.page.evaluate("scrollTo(0, document.body.scrollHeight)")
    ada.sees("#contents [data-head=codes] [aria-current]")
    box, shown = ada.page.locator("#contents").bounding_box(), here.bounding_box()
    assert box is not None
    assert shown is not None
    assert box["y"] <= shown["y"] <= box["y"] + box["height"]
    assert findings(ada) == []
    assert ada.errors == []
    ada.close()


def test_the_examples_of_events_are_json(page: str) -> None:
    for label in ("Acknowledgement", "Body", "Answer"):
        found = samples(page, label)
        assert found
        for text in found:
            json.loads(text)


def test_the_search_finds_and_the_buttons_copy(chromium: Browser, live: LiveServer) -> None:
    context = chromium.new_context(permissions=["clipboard-read", "clipboard-write"])
    tab = context.new_page()
    errors: list[Any] = []
    tab.on("pageerror", lambda error: errors.append(error))  # noqa: PLW0108 – Playwright marks it
    tab.goto(f"{live.url}/docs/api")
    # The key that leads to the search is shown until one is there.
    key = tab.locator(".searching kbd")
    key.wait_for()
    tab.keyboard.press(key.inner_text())
    key.wait_for(state="hidden")
    tab.keyboard.type("room_full capacity-nothing")
    tab.locator("#api-found", has_text="0 of").wait_for()
    tab.locator("#nothing", has_text="all of these words").wait_for()
    assert not tab.locator(".contents :is(p, li)").filter(visible=True).count()
    tab.fill("#api-search", "occupancy")
    tab.locator("#api-found", has_text="1 of").wait_for()
    assert tab.locator("#get-activity").is_visible()
    assert not tab.locator("#join").is_visible()
    # Titles come before text that has the same word.
    tab.fill("#api-search", "broadcast")
    first = tab.locator("#found article h3").first
    assert "broadcast" in first.inner_text()
    tab.fill("#api-search", "")
    assert not tab.locator("#found article").count()
    tab.locator("#join .sample button").first.click()
    tab.locator("#join .sample button", has_text="Copied").wait_for()
    assert tab.evaluate("navigator.clipboard.readText()").startswith("curl -X POST")
    tab.goto(f"{live.url}/clients")
    tab.get_by_role("button", name="Copy: pip install").click()
    tab.locator(".sample button", has_text="Copied").wait_for()
    line = tab.evaluate("navigator.clipboard.readText()")
    assert line.startswith(f"pip install {live.url}/clients/")
    assert errors == []
    context.close()
