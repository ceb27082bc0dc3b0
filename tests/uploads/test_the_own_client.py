"""The JavaScript client sends large files so that they survive a lost network."""

from __future__ import annotations

import random
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import pytest
import requests

from local_cluster.live_server import LiveServer
from local_cluster.waiting import eventually
from tests.support.node import report_of
from tests.uploads.cutting_proxy import CuttingProxy

CUTS = 5
CONTENT = random.Random(7).randbytes(3 * 1024 * 1024).hex().encode()


@pytest.fixture
def cut(server: LiveServer) -> Generator[CuttingProxy]:
    """A network in which the first connections that send much are lost."""
    made = CuttingProxy(server.port, CUTS, after=300_000)
    yield made
    made.close()


def upload(port: int, room: str, path: Path, name: str, *more: str) -> dict[str, Any]:
    """Upload a file with the own client, and return what it reports."""
    url = f"http://127.0.0.1:{port}"
    return dict(report_of("resumable.mjs", url, room, str(path), name, *more))


@pytest.fixture
def large(tmp_path: Path) -> Path:
    path = tmp_path / "large"
    path.write_bytes(CONTENT)
    return path


def test_a_large_file_goes_on_where_it_was_when_the_network_is_back(
    server: LiveServer, room: str, cut: CuttingProxy, large: Path
) -> None:
    report = upload(cut.port, room, large, "grüße 1.txt")
    assert cut.cut == CUTS
    file = report["file"]
    assert (file["original_filename"], file["file_size"]) == ("grüße 1.txt", len(CONTENT))
    assert requests.get(server.url + file["file_url"], timeout=10).content == CONTENT
    assert report["waits"] >= CUTS
    assert report["seen"][-1] == 1
    assert sum(line.startswith("HEAD") for line in report["asked"]) >= CUTS
    assert len([line for line in report["asked"] if line.startswith("POST")]) == 1


def test_a_large_file_outlasts_a_proxy_whose_server_is_away(
    server: LiveServer, room: str, large: Path
) -> None:
    report = upload(server.port, room, large, "large.txt", "away")
    assert report["waits"] == 3
    assert report["file"]["file_size"] == len(CONTENT)


def test_a_small_file_is_sent_as_a_form(server: LiveServer, room: str, tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.write_bytes(b"x" * 1024 * 1024)
    report = upload(server.port, room, small, "small.txt")
    assert report["asked"] == ["POST /api/webrtc/upload"]
    assert report["file"]["file_size"] == 1024 * 1024


def test_a_large_file_that_is_refused_says_why_as_a_small_one_does(
    server: LiveServer, room: str, large: Path
) -> None:
    assert upload(server.port, room, large, "large.pdf")["error"] == "file_type_refused"


def test_an_aborted_upload_leaves_nothing_behind(
    new_server: Callable[..., LiveServer], room: str, large: Path
) -> None:
    server = new_server()
    report = upload(server.port, room, large, "large.txt", "abort")
    assert report["error"] == "aborted"
    eventually(lambda: server.stored_files() == [], "the server has forgotten what had come")
    partial = server.uploads / ".partial"
    eventually(lambda: not any(partial.glob("*")), "and keeps no part of it")
