"""The cases of the Autobahn test suite, run by kosoku: a campaign, for they take minutes.

``PRESENCE_TEST_AUTOBAHN`` says which, as patterns: ``"*"`` for all, or ``"1.* 2.*"``. Those of 1 to
10 are 301; 12 and 13 send a thousand compressed messages each.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys

import pytest

from tests.support.paths import ROOT

CASES = os.environ.get("PRESENCE_TEST_AUTOBAHN", "").split()


@pytest.mark.skipif(not CASES, reason="asks for a campaign")
def test_every_case_is_passed() -> None:
    kosoku = pytest.importorskip("kosoku")
    command = [sys.executable, "-m", "tests.websocket.echo_server"]
    with subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as server:
        try:
            assert server.stdout
            url = f"ws://127.0.0.1:{int(server.stdout.readline())}"
            run = kosoku.run_fuzzingclient(url, CASES, None, concurrency=2)
            results = asyncio.run(run)
        finally:
            server.kill()
    failed = [result.case_id for result in results if not result.passed]
    print(f"{len(results) - len(failed)} of {len(results)} cases passed")
    assert not failed
