"""Folders for servers that run as somebody else, and the account that they run as."""

from __future__ import annotations

import os
import pwd
import shutil
import tempfile
from pathlib import Path


def make(prefix: str) -> Path:
    """Return a new folder with a short path, below which Unix sockets fit too."""
    return Path(tempfile.mkdtemp(prefix=f"presence-{prefix}-", dir="/tmp"))


def remove(folder: Path) -> None:
    """Remove a folder with all that is in it."""
    shutil.rmtree(folder, ignore_errors=True)


def unprivileged() -> pwd.struct_passwd | None:
    """Return whom to run as what refuses to run as root; None if this process is not root."""
    if os.geteuid() != 0:
        return None
    try:
        return pwd.getpwnam("postgres")
    except KeyError:
        return pwd.getpwnam("nobody")


def hand_over(folder: Path) -> dict[str, int]:
    """Give a folder to the unprivileged account; returns what `Popen` needs to run as it."""
    account = unprivileged()
    if account is None:
        return {}
    os.chown(folder, account.pw_uid, account.pw_gid)
    return {"user": account.pw_uid, "group": account.pw_gid}
