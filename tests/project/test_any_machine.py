"""Tests pass with whatever programs a machine has, and `script/setup` brings those it lacks."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from local_cluster import programs
from local_cluster.packages import MANAGERS
from tests.support import hiding
from tests.support.paths import ROOT

# One test for each way in which tests come to a program. CONTRIBUTING.md says how to try them all.
NEEDY = {
    "Chromium": "tests/pages/test_everybody_can_use_the_pages.py"
    "::test_a_room_is_used_with_the_keyboard_alone",
    "Node": "tests/signalling/test_javascript_client.py"
    "::test_the_types_compile_and_refuse_what_is_wrong",
    "npm": "tests/signalling/test_packages.py"
    "::test_a_program_without_a_browser_needs_no_types_of_one",
    "PostgreSQL": "tests/copies/test_backups.py"
    "::test_a_backup_of_a_busy_server_has_what_was_acknowledged_and_every_file",
    "Redis": "tests/abuse/test_rates_in_redis.py",
    "nginx": "tests/cluster/test_deploy.py",
    "coturn": "tests/signalling/test_ice_servers.py"
    "::test_coturn_accepts_credentials_and_refuses_expired_and_forged_ones",
    "OpenSSL": "tests/cluster/test_deploy.py",
    "systemd-analyze": "tests/process/test_systemd.py"
    "::test_systemd_takes_the_unit_and_finds_it_shut_in",
    "ip": "tests/faults/test_a_pulled_cable.py",
}
# Some that need several programs, and the one of those that is hidden from each.
SEVERAL = {
    "Redis": "tests/cluster/test_script.py::test_a_cluster_starts_serves_and_is_gone_after_ctrl_c",
    "Node": NEEDY["npm"],
}
# What a shell that can run the scripts has in any case.
COMMON = {"bash", "sh", "sed", "mount", "umount", "git", "sleep", "true", "cat", "/bin/sh"}


def run_without(hidden: str, *tests: str) -> str:
    """Run the first test of each file, or these, without some programs; return what is printed."""
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "--maxfail=1", "-p", "no:cacheprovider", *tests],
        cwd=ROOT,
        env=os.environ | {"PRESENCE_TEST_WITHOUT": hidden, "PRESENCE_TEST_SERVERS": "eventlet"},
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
    )
    assert done.returncode in (0, 5), done.stdout + done.stderr
    return done.stdout


@pytest.mark.timeout(500)
def test_without_any_program_tests_are_skipped_in_a_line_for_each() -> None:
    said = run_without("all", *dict.fromkeys(NEEDY.values()))
    lines = re.findall(r"^\d+ tests? needs? (.+): script/setup installs it$", said, re.MULTILINE)
    assert sorted(lines) == sorted(set(lines))
    assert set(lines) >= NEEDY.keys(), said
    assert "SKIPPED" not in said


@pytest.mark.timeout(500)
def test_without_one_program_of_several_what_needs_them_is_skipped_too() -> None:
    said = run_without(",".join(SEVERAL).lower(), *SEVERAL.values())
    # Or what this machine lacks besides.
    lacking = [program.name for program in programs.without(programs.ALL)]
    for name in SEVERAL:
        names = "|".join([name, *lacking])
        assert re.search(rf"^\d tests? needs? ({names}): ", said, re.MULTILINE), said


def test_each_program_can_be_hidden_alone_by_any_of_its_names(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """On a machine that has them all, as far as their names go."""
    for program in programs.ALL:
        for command in (*program.commands, *program.brings):
            (tmp_path / Path(command).name).touch(0o755)
    for program in programs.ALL:
        for name in {program.name, program.commands[0], *program.brings}:
            with monkeypatch.context() as patched:
                patched.setattr(programs, "SYSTEM_FOLDERS", "")
                patched.setattr(programs, "POSTGRESQL_FOLDERS", tmp_path)
                patched.setenv("PATH", str(tmp_path))
                assert programs.without(programs.ALL) == []
                patched.setenv("PRESENCE_TEST_WITHOUT", name)
                hiding.hide()
                assert programs.without(programs.ALL) == [program]


def test_a_program_that_nobody_knows_cannot_be_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PRESENCE_TEST_WITHOUT", "redis,mongod")
    with pytest.raises(SystemExit, match="names 'mongod', which is none of: all, PostgreSQL, "):
        hiding.hide()


def test_the_loop_for_contributors_hides_every_program_once() -> None:
    (loop,) = re.findall(r"for p in all ([^;]+);", (ROOT / "CONTRIBUTING.md").read_text())
    assert [programs.named(name) for name in loop.split()] == list(programs.ALL)


def test_no_test_runs_a_program_that_it_has_not_asked_for() -> None:
    """By its bare name it would be run without a look whether it is there."""
    known = {command for program in programs.ALL for command in program.commands + program.brings}
    for path in [*(ROOT / "tests").rglob("*.py"), *(ROOT / "local_cluster").rglob("*.py")]:
        if "node_modules" in path.parts:
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
                continue
            if node.func.attr not in {"run", "Popen", "check_output"} or not node.args:
                continue
            command = node.args[0]
            first = command.elts[0] if isinstance(command, ast.List) and command.elts else None
            while isinstance(first, ast.Starred) and isinstance(first.value, ast.Tuple):
                first = first.value.elts[0]
            if isinstance(first, ast.Constant):
                assert first.value in COMMON - known, f"{path}:{node.lineno}: {first.value!r}"


@pytest.mark.parametrize("manager", MANAGERS, ids=lambda manager: manager.command)
def test_setup_says_or_runs_what_installs_everything(manager: object, tmp_path: Path) -> None:
    """Beside a package manager that only writes down what it was asked for."""
    command = getattr(manager, "command")  # noqa: B009
    for name in {command, "sudo"}:
        shown = tmp_path / name
        shown.write_text(f'#!/bin/sh\necho "$0 $*" | sed "s:.*/::" >> {tmp_path}/asked\n')
        shown.chmod(0o755)
    for name in ("sh", "sed", "install", "rm"):
        (tmp_path / name).symlink_to(f"/bin/{name}")
    code = (
        "import pathlib, sys; from local_cluster import packages, programs; "
        "programs.SYSTEM_FOLDERS = ''; programs.POSTGRESQL_FOLDERS = pathlib.Path('/nowhere'); "
        "packages._POLICY = pathlib.Path(sys.argv[1]); packages.install()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "policy")],
        cwd=ROOT,
        env={"PATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    asked = (tmp_path / "asked").read_text() if command != "brew" else done.stderr
    for program in programs.ALL:
        package = {"apt-get": program.apt, "dnf": program.dnf, "brew": program.brew}[command]
        assert package in asked, program.name
    if command == "brew":
        assert "to install on macOS: brew install postgresql@17 redis" in asked
        assert "brew install --cask chromium" in asked
    else:
        # Together first, and each by itself where that did not do.
        assert "could not be installed; tests that need them are skipped." in done.stderr
    assert not (tmp_path / "policy").exists()
