"""Requests made from the OpenAPI document are answered as described, and never with a fault.

`PRESENCE_TEST_EXAMPLES` is how many requests of each kind are made for each operation; 300 of them
are a campaign of 15,000 requests, half of them to a locked server.
"""

from __future__ import annotations

import base64
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import requests

from local_cluster.live_server import LiveServer
from local_cluster.ports import free_port
from local_cluster.private_cluster import PrivateCluster
from local_cluster.private_postgresql import PrivatePostgresql
from tests.support import needs
from tests.support.keys import LOCKED, bearer, token

EXAMPLES = int(os.environ.get("PRESENCE_TEST_EXAMPLES", "5"))
IS_CAMPAIGN = EXAMPLES >= 50
# The phase that tries every edge of every schema makes 500 requests however few examples.
PHASES = "coverage,fuzzing,stateful" if IS_CAMPAIGN else "fuzzing,stateful"
# How much a server's memory may grow while it answers: caches fill, and nothing else.
GROWTH = 24 * 1024 * 1024

OPEN = {name: value for name, value in LOCKED.items() if name.endswith("_PER_MINUTE")}
# Not everything that is wrong can be said in a schema: which characters of Unicode can be seen,
# say. And what an open server thinks of a header that it does not need is of no interest.
EXCLUDED = {
    "open": "positive_data_acceptance,missing_required_header",
    "locked": "positive_data_acceptance",
}
# In a form a number is the text that says it, so that what was made to be of a wrong type is not.
BY_OPERATION = """
[[operations]]
include-name = "POST /api/webrtc/upload"
checks.negative_data_rejection.enabled = false
"""
# Who waits for events that never come takes half a minute.
SOON = """
[[operations]]
include-name = "GET /api/webrtc/events"
parameters = { "query.wait" = 0.1 }
"""
# Those that are expected anyway, and 412: with that the protocol of resumable uploads wants a
# request without its version to be answered.
REFUSALS = """
[checks]
negative_data_rejection.expected-statuses = [
  400, 401, 403, 404, 405, 406, 409, 412, 415, 422, 428, 429, "5xx",
]
missing_required_header.expected-statuses = [400, 401, 403, 404, 405, 406, 412, 415, 422]
"""
# The pieces of those are any bytes.
HOOKS = """
import schemathesis

@schemathesis.serializer("application/offset+octet-stream")
def piece(ctx, value):
    return value if isinstance(value, bytes) else str(value).encode()
"""


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("mode", ["open", "locked"])
def test_generated_requests_are_answered_as_described(
    new_server: Callable[..., LiveServer], mode: str, tmp_path: Path
) -> None:
    needs.python_package("schemathesis")
    server = new_server(**(LOCKED if mode == "locked" else OPEN))
    if IS_CAMPAIGN:  # memory is compared with what a server has that has done everything once
        try_everything(server, mode, tmp_path, PHASES, 1)
    before = server.memory()
    made = try_everything(server, mode, tmp_path, PHASES, EXAMPLES)
    print(f"{made} requests, {(server.memory() - before) / 2**20:+.1f} MiB")
    assert made >= 20 * EXAMPLES
    assert server.memory() - before < GROWTH
    # It is the same process, it serves, and it met nothing that nobody foresaw.
    assert requests.get(f"{server.url}/readyz", timeout=10).status_code == 200
    assert server.log_text().count("Presence is ready") == 1
    assert "Traceback" not in server.log_text()


@pytest.mark.timeout(3600)
def test_a_worker_of_several_answers_them_so_too(
    postgresql: PrivatePostgresql, tmp_path: Path
) -> None:
    """On PostgreSQL and Redis, with events that are kept, and a backend that is never there."""
    needs.python_package("schemathesis")
    told = {
        "PRESENCE_KEEP_EVENTS": "1h",
        "PRESENCE_EVENTS": "all",
        "PRESENCE_WEBHOOK_URLS": f"http://127.0.0.1:{free_port()}/",
        "PRESENCE_WEBHOOK_SECRETS": "whsec_" + base64.b64encode(b"s" * 32).decode(),
    }
    cluster = PrivateCluster(postgresql, 2, **LOCKED, **told)
    try:
        cluster.start()
        made = try_everything(cluster.workers[0], "locked", tmp_path, PHASES, EXAMPLES)
        print(f"{made} requests")
        for worker in cluster.workers:
            assert requests.get(f"{worker.url}/readyz", timeout=10).status_code == 200
            assert worker.log_text().count("Presence is ready") == 1
            assert "Traceback" not in worker.log_text()
    finally:
        cluster.close()


def try_everything(server: LiveServer, mode: str, folder: Path, phases: str, examples: int) -> int:
    """Let schemathesis loose on a server; return how many requests it made."""
    admin = bearer(token("root", "*", "admin", ttl=3600))["Authorization"]
    command = [
        *(sys.executable, "-m", "schemathesis.cli", "run"),
        f"{server.url}/api/openapi.json",
        f"--max-examples={examples}",
        f"--phases={phases}",
        "--exclude-checks",
        EXCLUDED[mode],
        "--no-color",
        "--request-timeout=20",
        "--suppress-health-check=all",
        *([] if IS_CAMPAIGN else ["--seed=1"]),
        *(["-H", f"Authorization: {admin}"] if mode == "locked" else []),
    ]
    (folder / "schemathesis.toml").write_text(REFUSALS + BY_OPERATION + SOON)
    (folder / "pieces.py").write_text(HOOKS)
    hooks = {**os.environ, "SCHEMATHESIS_HOOKS": "pieces", "PYTHONPATH": str(folder)}
    result = subprocess.run(
        command, cwd=folder, env=hooks, capture_output=True, text=True, check=False
    )
    failures = result.stdout.partition("= FAILURES =")[2] or result.stdout
    assert result.returncode == 0, failures[:8000] + result.stderr[-2000:]
    made = re.search(r"(\d+) generated", result.stdout)
    assert made, result.stdout[-2000:]
    return int(made[1])
