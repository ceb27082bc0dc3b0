"""The cases of the Autobahn test suite, run by kosoku: a campaign, for they take minutes.

``PRESENCE_TEST_AUTOBAHN`` says which, as patterns: ``"*"`` for all, or ``"1.* 2.*"``. Those of 1 to
10 are 301; the 216 of 12 and 13 send a thousand compressed messages each, or as many as
``PRESENCE_TEST_AUTOBAHN_MESSAGES`` says. What those take is waiting, with both ends idle: some 35
ms for each message of many fragments, as of small packets that wait for the receipt of the last.
"""

from __future__ import annotations

import asyncio
import importlib
import os
import subprocess
import sys

import pytest

from tests.support.paths import ROOT

CASES = os.environ.get("PRESENCE_TEST_AUTOBAHN", "").split()
MESSAGES = int(os.environ.get("PRESENCE_TEST_AUTOBAHN_MESSAGES", "1000"))
# They ask for a window of 2^9 bytes for what the server sends, and for nothing else.
DECLINED = ["13.3.*", "13.5.*"]


@pytest.mark.timeout(7200)
@pytest.mark.skipif(not CASES, reason="asks for a campaign")
def test_every_case_is_passed() -> None:
    kosoku = pytest.importorskip("kosoku")
    importlib.import_module("kosoku._caseindex").initialize_shims()
    compressed = importlib.import_module("case12_x_x")
    for case in (*compressed.Case12_X_X, *compressed.Case13_X_X):
        case.COUNT = min(case.COUNT, MESSAGES)
    command = [sys.executable, "-m", "tests.websocket.echo_server"]
    with subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as server:
        try:
            assert server.stdout
            url = f"ws://127.0.0.1:{int(server.stdout.readline())}"
            # Raises an error that names those that failed.
            run = kosoku.run_fuzzingclient(url, CASES, DECLINED, concurrency=2)
            results = asyncio.run(run)
        finally:
            server.kill()
    print(f"{len(results)} cases passed")
    assert results
