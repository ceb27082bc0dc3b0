"""What is installed keeps the floors that security needs, and has no known hole."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from importlib.metadata import version

import pytest

from tests.support import needs
from tests.support.paths import ROOT

# Below these a fault is open that has been closed since; docs/dependencies.md says which.
FLOORS = {
    "gunicorn": "25.3.0",
    "eventlet": "0.40.3",
    "python-socketio": "5.16.2",
    "python-engineio": "4.13.3",
    "Flask": "3.1.3",
    "Werkzeug": "3.1.8",
    "Flask-Cors": "6.0.5",
    "PyJWT": "2.15",
    "SQLAlchemy": "2.1.9",
}
AUDIT_SECONDS = 110


def number(text: str) -> tuple[int, ...]:
    """Return a version so that it can be compared."""
    return tuple(int(part) for part in re.findall(r"\d+", text)[:3])


@pytest.mark.parametrize("package", FLOORS)
def test_what_is_installed_keeps_the_floor(package: str) -> None:
    assert number(version(package)) >= number(FLOORS[package])


@pytest.mark.parametrize("package", FLOORS)
def test_nothing_below_the_floor_can_be_installed(package: str) -> None:
    requirements = (ROOT / "requirements.txt").read_text()
    asked = re.search(rf"^{package}>=([\d.]+)", requirements, re.MULTILINE)
    assert asked, package
    assert number(asked[1]) >= number(FLOORS[package])


def test_the_documents_state_the_floors() -> None:
    text = (ROOT / "docs" / "dependencies.md").read_text()
    for package in ("eventlet", "python-socketio", "python-engineio"):
        assert f"`{package}` {FLOORS[package]}" in text, package


def test_the_documents_name_the_files_that_are_written_by_hand() -> None:
    text = (ROOT / "docs" / "dependencies.md").read_text()
    _, _, by_hand = text.partition("## What is written by hand")
    named = re.findall(r"`([a-z_/0-9]+\.py)`", by_hand)
    assert len(named) > 30
    for path in named:
        assert (ROOT / "presence" / path).is_file(), path


@pytest.mark.timeout(2 * AUDIT_SECONDS)
def test_no_installed_package_has_a_known_hole() -> None:
    needs.python_package("pip_audit")
    command = [sys.executable, "-m", "pip_audit", "--local", "--progress-spinner=off"]
    try:
        result = subprocess.run(
            [*command, "--timeout=10", "--format=json"],
            capture_output=True,
            text=True,
            timeout=AUDIT_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        pytest.skip(f"the service of pip-audit did not answer within {AUDIT_SECONDS} s")
    if not result.stdout:
        pytest.skip(f"the service of pip-audit did not answer: {result.stderr[-200:]}")
    found = json.loads(result.stdout)["dependencies"]
    audited = [package for package in found if "vulns" in package]
    if not audited:
        pytest.skip(f"the service of pip-audit knows no package: {found[0].get('skip_reason')}")
    assert [package for package in audited if package["vulns"]] == []
