"""The page of the API has everything that the documents have, and its examples work as copied."""

from __future__ import annotations

import html
import json
import re
import subprocess
from collections.abc import Generator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import requests

from local_cluster.live_server import LiveServer
from tests.support import needs
from tests.support.strict import Body

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
    tab.keyboard.press("/")
    tab.keyboard.type("room_full capacity-nothing")
    tab.locator("#api-found", has_text="0 of").wait_for()
    tab.fill("#api-search", "occupancy")
    tab.locator("#api-found", has_text="1 of").wait_for()
    assert tab.locator("#get-activity").is_visible()
    assert not tab.locator("#join").is_visible()
    tab.fill("#api-search", "")
    tab.locator("#join .sample button").first.click()
    tab.locator("#join .sample button", has_text="Copied").wait_for()
    assert tab.evaluate("navigator.clipboard.readText()").startswith("curl -X POST")
    assert errors == []
    context.close()
