"""The scripts keep what is not theirs, and say in a sentence what is in their way."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

from tests.support.paths import ROOT

NOBODY = 65_534


@pytest.fixture
def copy() -> Generator[Path]:
    """A copy of the scripts where everybody may read, and requirements of nothing."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    shutil.copytree(ROOT / "script", folder / "script")
    (folder / "requirements.txt").write_text("")
    yield folder
    folder.chmod(0o755)
    shutil.rmtree(folder)


def program(path: Path, body: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return path


def refused(copy: Path, script: str = "server", **options: Any) -> str:
    """Run a script that is to end with one line; return it."""
    environment = {**os.environ, **options.pop("env", {})}
    ended: subprocess.CompletedProcess[str] = subprocess.run(
        ["bash", f"script/{script}"],
        cwd=copy,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        **options,
    )
    assert ended.returncode != 0
    assert ended.stdout == ""
    return ended.stderr


def test_a_venv_of_another_tool_is_kept(copy: Path) -> None:
    program(copy / ".venv" / "bin" / "python", "exit 1")
    (copy / ".venv" / "notes").write_text("mine")
    for script in ("server", "release"):
        says = refused(copy, script)
        assert says.count("\n") == 1
        assert "made by something else" in says
        assert "mv .venv" in says
    assert (copy / ".venv" / "notes").read_text() == "mine"


def test_a_venv_of_an_old_python_is_kept(copy: Path) -> None:
    old = 'case "$1" in -c) exit 1;; --version) echo Python 3.10.4;; esac'
    program(copy / ".venv" / "bin" / "python", old)
    says = refused(copy)
    assert "has Python 3.10.4, and Presence needs Python 3.11 or newer" in says
    assert (copy / ".venv").is_dir()


def test_what_only_looks_like_a_venv_is_kept(copy: Path) -> None:
    """The system's own Python would be given what is installed."""
    (copy / ".venv" / "bin").mkdir(parents=True)
    (copy / ".venv" / "bin" / "python").symlink_to(Path(sys.base_prefix, "bin", "python3"))
    says = refused(copy)
    assert "its Python keeps packages elsewhere" in says
    assert says.count("\n") == 1
    shutil.rmtree(copy / ".venv")
    (copy / ".venv").write_text("mine")
    assert "is no folder" in refused(copy)
    assert (copy / ".venv").read_text() == "mine"


def test_one_of_our_own_that_is_half_made_is_made_anew(copy: Path) -> None:
    (copy / ".venv").mkdir()
    (copy / ".venv" / ".made-by-presence").touch()
    (copy / ".venv" / "half").touch()
    # Without the module that makes it.
    python = program(
        copy / "python", 'case "$1" in -m) exit 1;; --version) echo Python 3.12;; esac'
    )
    says = refused(copy, env={"PYTHON": str(python)})
    assert "Making .venv with Python 3.12" in says
    assert "apt-get install python3-venv" in says
    assert not (copy / ".venv").exists()


@pytest.mark.skipif(shutil.which("flock") is None, reason="flock, which macOS has not")
def test_of_two_first_starts_at_once_one_waits_for_the_other(copy: Path) -> None:
    works = f"""case "$2" in
        venv) echo made >>{copy}/log; sleep 1; mkdir -p .venv/bin; cp {copy}/python .venv/bin ;;
        gunicorn) echo served ;;
    esac"""
    python = program(copy / "python", works)
    starts = [
        subprocess.Popen(
            ["bash", "script/server"],
            cwd=copy,
            env={**os.environ, "PYTHON": str(python)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    says = [start.communicate(timeout=60) for start in starts]
    assert [out for out, _ in says] == ["served\n", "served\n"], says
    assert sum("Waiting for another start" in error for _, error in says) == 1
    assert (copy / "log").read_text() == "made\n"


def test_a_python_that_is_named_and_too_old_or_missing_is_told(copy: Path) -> None:
    old = program(
        copy / "python3.10", 'case "$1" in -c) exit 1;; --version) echo Python 3.10.4; echo;; esac'
    )
    says = refused(copy, env={"PYTHON": str(old)})
    assert f"PYTHON={old} is Python 3.10.4" in says
    assert says.count("\n") == 1
    says = refused(copy, env={"PYTHON": "python9.9"})
    assert "There is no program python9.9, which PYTHON names" in says
    assert not (copy / ".venv").exists()


def test_a_folder_that_cannot_be_written_to_is_told(copy: Path) -> None:
    python = program(copy / "python", 'case "$1" in --version) echo Python 3.12;; esac')
    copy.chmod(0o555)
    # Nothing stops root.
    user: dict[str, Any] = {"user": NOBODY, "extra_groups": []} if os.geteuid() == 0 else {}
    says = refused(copy, env={"PYTHON": str(python), "HOME": "/"}, **user)
    assert says.count("\n") == 1
    assert f"keeps its packages in {copy}/.venv" in says
    assert "cannot be written to" in says


def test_the_doctor_says_what_installs_its_packages(copy: Path) -> None:
    assert "start script/server once" in refused(copy, "doctor")
