"""Alerts and dashboard ask for figures that the server has, and say what they are meant to."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from app import create_app
from presence.config import Settings
from presence.storage import schema
from tests.support import needs
from tests.support.paths import ROOT

WATCHING = ROOT / "deploy" / "watching"
RULES: dict[str, Any] = yaml.safe_load((WATCHING / "alerts.yaml").read_text())
ALERTS = {rule["alert"]: rule for rule in RULES["groups"][0]["rules"]}
DASHBOARD: dict[str, Any] = json.loads((WATCHING / "dashboard.json").read_text())
# One of the server's own with its filters; Prometheus and node_exporter know others.
FIGURE = re.compile(r"\b((?:presence|process)_\w+)(?:\{([^}]*)\})?")
# When each alert has to be raised and when not: what is seen minute by minute, from 1970 on.
SERIES = """
rule_files: [{rules}]
evaluation_interval: 1m
tests:
  - interval: 1m
    input_series:
{series}
    alert_rule_test: {expected}
"""
HAPPENINGS = {
    "PresenceDown": (['up{job="presence",instance="a"} 0x20'], True),
    "PresenceDatabaseDown": (["presence_database_up 0x20"], True),
    "PresenceGhosts": (
        [
            'presence_ghost_seconds_count{kind="socket"} 0+2x20',
            'presence_ghost_seconds_bucket{kind="socket",le="12.0"} 0+1x20',
        ],
        True,
    ),
    "no PresenceGhosts": (
        [
            'presence_ghost_seconds_count{kind="socket"} 0+2x20',
            'presence_ghost_seconds_bucket{kind="socket",le="12.0"} 0+2x20',
        ],
        False,
    ),
    "PresenceStalls": (
        [
            'presence_loop_stall_seconds_bucket{le="0.25"} 0+1x20',
            'presence_loop_stall_seconds_bucket{le="1.0"} 0+9x20',
            'presence_loop_stall_seconds_bucket{le="+Inf"} 0+9x20',
        ],
        True,
    ),
    "PresenceEvictsSlowReaders": (
        ['presence_evictions_total{reason="slow_reader"} 0+5x30'],
        True,
    ),
    "PresenceErrors": (['presence_events_total{event="x",outcome="internal_error"} 0+60x20',
                        'presence_http_requests_total{status="500"} 0x20'], True),
    "PresenceVersionsDiffer": (
        ['presence_info{version="1",instance="a"} 1x30', 'presence_info{version="2"} 1x30'],
        True,
    ),
    "no PresenceVersionsDiffer": (
        ['presence_info{version="1",instance="a"} 1x30', 'presence_info{version="1"} 1x30'],
        False,
    ),
    "PresenceRestarts": (['process_start_time_seconds{job="presence"} 0+1x30'], True),
    "PresenceBackupsStopped": (["presence_last_backup_timestamp_seconds 60x4000"], True),
    # There never was one.
    "no PresenceBackupsStopped": (["presence_last_backup_timestamp_seconds 0x4000"], False),
    "PresenceWebhooksWait": (["presence_webhook_oldest_seconds 0+60x30"], True),
    "no PresenceWebhooksWait": (["presence_webhook_oldest_seconds 0+10x30"], False),
    "PresenceWebhooksFailed": (["presence_webhook_failed 3x30"], True),
    "PresenceDiskFillsUp": (
        ['node_filesystem_avail_bytes{mountpoint="/"} 100000-100x200'],
        True,
    ),
}  # fmt: skip

# After how long those that take longer are looked at.
SLOW = {"PresenceDiskFillsUp": "3h", "PresenceBackupsStopped": "60h"}


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, set[str]]]:
    """Return the labels and their values of every figure that a server has, by its name."""
    folder = tmp_path_factory.mktemp("figures")
    app = create_app(Settings(database_url=f"sqlite:///{folder}/x.db", upload_dir=str(folder)))
    with app.app_context():
        schema.upgrade()
    run = app.extensions["presence"]
    # Each kind of count once, so that it has its labels.
    run.counters.events["join_room", "ok"] += 1
    run.counters.disconnects["ping timeout"] += 1
    client = app.test_client()
    client.get("/healthz")
    text = client.get("/metrics").text
    found: dict[str, dict[str, set[str]]] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            labels = found.setdefault(sample.name, {})
            for label, value in sample.labels.items():
                labels.setdefault(label, set()).add(value)
    return found


def expressions() -> Iterator[tuple[str, str]]:
    """Return every expression of the alerts and the dashboard, with where it stands."""
    for name, rule in ALERTS.items():
        yield name, rule["expr"]
    for panel in DASHBOARD["panels"]:
        for target in panel["targets"]:
            yield panel["title"], target["expr"]


def test_every_figure_and_label_that_is_asked_for_exists(
    known: dict[str, dict[str, set[str]]],
) -> None:
    asked = set()
    for where, expression in expressions():
        for name, filters in FIGURE.findall(expression):
            assert name in known, f"{where}: {name}"
            asked.add(name)
            for label, value in re.findall(r"(\w+)=\"([^\"]*)\"", filters or ""):
                assert label == "job" or label in known[name], f"{where}: {name} by {label}"
                if label in {"le", "state", "kind", "reason"}:
                    assert value in known[name][label], f"{where}: {label}={value}"
        for group in re.findall(r"\bby \(([^)]*)\)", expression):
            labels = {label.strip() for label in group.split(",")} - {"instance"}
            assert labels <= set().union(*(known.get(n, {}) for n in asked)) | {"le"}, where
    assert len(asked) > 20


def test_every_figure_of_the_server_is_on_the_dashboard(
    known: dict[str, dict[str, set[str]]],
) -> None:
    shown = " ".join(expression for _, expression in expressions())
    for name in known:
        if name.startswith("presence_") and not name.endswith(("_sum", "_count", "_created")):
            assert name in shown, name


def test_prometheus_takes_the_rules_and_they_are_raised_when_they_should(tmp_path: Path) -> None:
    promtool = needs.program("promtool")
    rules = WATCHING / "alerts.yaml"
    checked = subprocess.run(
        [promtool, "check", "rules", rules], capture_output=True, text=True, check=False
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr
    for name, (series, is_raised) in HAPPENINGS.items():
        alert = name.removeprefix("no ")
        written = "\n".join(
            f"      - series: '{one.rsplit(' ', 1)[0]}'\n        values: '{one.rsplit(' ', 1)[1]}'"
            for one in series
        )
        # Whatever else an alert says is not looked at here, but a wrong expectation names it all.
        expected = [{"eval_time": SLOW.get(alert, "20m"), "alertname": alert}]
        test = tmp_path / "test.yaml"
        test.write_text(SERIES.format(rules=rules, series=written, expected=json.dumps(expected)))
        done = subprocess.run(
            [promtool, "test", "rules", test], capture_output=True, text=True, check=False
        )
        said = done.stdout + done.stderr
        assert ("got:[" in said) == (done.returncode != 0), said
        assert (done.returncode != 0) == is_raised, f"{name}: {said}"
