"""The stock client of tus finishes an upload however often its connection is cut."""

from __future__ import annotations

import random
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest
import requests

from local_cluster.live_server import LiveServer
from tests.support import needs
from tests.support.node import report_of
from tests.support.tus import join
from tests.uploads.cutting_proxy import CuttingProxy

CUTS = 20
SIZE = 3 * 1024 * 1024
CONTENT = random.Random(5).randbytes(SIZE // 2).hex().encode()


@pytest.fixture
def proxy(server: LiveServer) -> Generator[CuttingProxy]:
    made = CuttingProxy(server.port, CUTS, after=100_000)
    yield made
    made.close()


def uploaded(proxy: CuttingProxy, path: Path, room: str, chunk: int = 0) -> dict[str, Any]:
    """Upload a file with the stock client, and return what it reports."""
    needs.npm_package("tus-js-client")
    endpoint = f"http://127.0.0.1:{proxy.port}/api/webrtc/uploads"
    return dict(report_of("tus.mjs", endpoint, str(path), path.name, room, "alice", str(chunk)))


def test_a_connection_that_is_cut_twenty_times(
    server: LiveServer, room: str, proxy: CuttingProxy, tmp_path: Path
) -> None:
    join(server, room)
    path = tmp_path / "long.txt"
    path.write_bytes(CONTENT)
    report = uploaded(proxy, path, room)
    assert proxy.cut == CUTS
    assert report["offsets"] == sorted(report["offsets"]), "it always went on, and never back"
    assert len(set(report["offsets"])) > CUTS / 2, "each time from where it was"
    file = report["file"]
    assert (file["original_filename"], file["file_size"]) == ("long.txt", len(CONTENT))
    assert requests.get(server.url + file["file_url"], timeout=10).content == CONTENT


def test_a_file_in_chunks_of_the_client_and_one_that_is_refused(
    server: LiveServer, room: str, tmp_path: Path
) -> None:
    join(server, room)
    straight = CuttingProxy(server.port, cuts=0, after=0)
    path = tmp_path / "chunks.txt"
    path.write_bytes(CONTENT)
    assert uploaded(straight, path, room, 500_000)["file"]["file_size"] == len(CONTENT)
    program = tmp_path / "program.pdf"
    program.write_bytes(b"MZ" + b"\0" * 200)
    assert uploaded(straight, program, room)["error"] == "file_type_refused"
    straight.close()
