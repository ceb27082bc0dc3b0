"""The files of a release: source, clients and checksums, the same bytes each time.

``script/release`` calls it. The source is what git has of the commit that is checked out.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import re
import subprocess
import sys
from pathlib import Path

from presence.config import ROOT, VERSION
from presence.transport.pages.packages import client_packages


class CannotRelease(Exception):
    """There is nothing that could be released; the message says why and what to do."""


def files(root: Path = ROOT) -> dict[str, bytes]:
    """Return the files of a release by name, their checksums among them.

    Raises `CannotRelease`.
    """
    wheel = client_packages.python()
    if wheel is None:
        raise CannotRelease("The Python client is not here: clients/python is missing.")
    made = {
        f"presence-{VERSION}.tar.gz": _source(root),
        f"presence-client-{VERSION}.tgz": client_packages.javascript().content,
        wheel.name: wheel.content,
    }
    # As sha256sum writes them, and checks them with --check.
    lines = [f"{hashlib.sha256(made[name]).hexdigest()}  {name}\n" for name in sorted(made)]
    return {**made, "SHA256SUMS": "".join(lines).encode()}


def check(root: Path = ROOT) -> None:
    """Raise `CannotRelease` unless git has all there is, and CHANGELOG.md tells of this version."""
    if _git(root, "status", "--porcelain"):
        raise CannotRelease("Some changes are not committed. Commit them first: git status.")
    told = (root / "CHANGELOG.md").read_text()
    if "\n## Unreleased\n" in told:
        raise CannotRelease(
            "CHANGELOG.md has a section “## Unreleased”, which no release has. Give "
            "it the version that it becomes, also as VERSION in presence/config.py."
        )
    if not re.search(rf"^## {re.escape(VERSION)}\b", told, re.M):
        raise CannotRelease(
            f"CHANGELOG.md has no section “## {VERSION}”. Write what it brings and what an "
            "operator has to do, or set VERSION in presence/config.py."
        )


def main() -> None:
    """Write the files into the folder that is named, or ``dist``."""
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "dist")
    try:
        check()
        made = files()
        folder.mkdir(parents=True, exist_ok=True)
    except (CannotRelease, OSError) as error:
        sys.exit(str(error))
    for name, content in made.items():
        (folder / name).write_bytes(content)
        print(f"{folder / name}  {len(content):,} bytes")


def _source(root: Path) -> bytes:
    packed = io.BytesIO()
    # Of a commit git always makes the same archive; when it was packed is left out.
    with gzip.GzipFile(fileobj=packed, mode="wb", mtime=0) as zipped:
        zipped.write(_git(root, "archive", "--format=tar", f"--prefix=presence-{VERSION}/", "HEAD"))
    return packed.getvalue()


def _git(root: Path, *arguments: str) -> bytes:
    try:
        return subprocess.run(  # noqa: S603 – with arguments of our own
            ["git", "-C", str(root), *arguments],  # noqa: S607 – the one of this machine
            capture_output=True,
            check=True,
        ).stdout
    except FileNotFoundError:
        raise CannotRelease("git is not installed, which knows the source.") from None
    except subprocess.CalledProcessError as error:
        reason = error.stderr.decode(errors="replace").strip()
        raise CannotRelease(f"git does not know this folder: {reason}") from None


if __name__ == "__main__":
    main()
