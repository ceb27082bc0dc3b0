"""Hiding programs from the tests, as if this machine had none of them.

``PRESENCE_TEST_WITHOUT=redis,node`` hides them by name or command, ``all`` every one that tests can
use. What tests start does not find them either: ``PATH`` then leads to a folder of links to all
other programs.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import shutil
import sys
import tempfile
from pathlib import Path

from local_cluster import programs
from local_cluster.programs import Program


def hidden() -> list[Program]:
    """Return the programs that the setting names; ends this process if it names none of ours."""
    names = os.environ.get("PRESENCE_TEST_WITHOUT", "")
    if names == "all":
        return list(programs.ALL)
    try:
        return [programs.named(name) for name in names.split(",") if name]
    except KeyError as name:
        known = ", ".join(program.name for program in programs.ALL)
        sys.exit(f"PRESENCE_TEST_WITHOUT names {name}, which is none of: all, {known}")


def is_hidden(what: str) -> bool:
    """Return whether something is missing because it, or all that could have it, is hidden."""
    names = {program.name for program in hidden()}
    return what in names or ("npm package" in what and "Node" in names)


def hide() -> None:
    """Let this process, and those that it starts, not find what is hidden."""
    chosen = hidden()
    if not chosen:
        return
    gone = {command for program in chosen for command in (*program.commands, *program.brings)}
    # By their names; of several the first counts, as in PATH.
    found: dict[str, str] = {}
    for searched in reversed((os.environ["PATH"] + ":" + programs.SYSTEM_FOLDERS).split(":")):
        with contextlib.suppress(OSError):
            found |= {entry.name: os.path.abspath(entry.path) for entry in os.scandir(searched)}
    folder = tempfile.mkdtemp(prefix="presence-programs-")
    os.chmod(folder, 0o755)  # some tests run programs as somebody else
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    for name in found.keys() - gone:
        os.symlink(found[name], f"{folder}/{name}")
    os.environ["PATH"] = folder
    programs.SYSTEM_FOLDERS = ""
    if programs.POSTGRESQL in chosen:
        programs.POSTGRESQL_FOLDERS = Path(folder)
