"""One version for the server and its clients, and a release that is the same each time."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import re
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from app import create_app
from presence.config import VERSION, Settings
from presence.transport.pages.packages import release_files as releasing
from tests.support import needs
from tests.support.paths import ROOT

CHANGELOG = (ROOT / "CHANGELOG.md").read_text()


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A commit of a few files, as a release is made of."""
    folder = tmp_path / "project"
    (folder / "presence").mkdir(parents=True)
    (folder / "presence" / "a.py").write_text("print(1)\n")
    (folder / "CHANGELOG.md").write_text(f"# Changelog\n\n## {VERSION}\n\n* Everything.\n")
    git(folder, "init", "--quiet")
    commit(folder)
    return folder


def git(folder: Path, *arguments: str) -> None:
    program = needs.program("git", "git")
    who = ["-c", "user.name=Tests", "-c", "user.email=tests@example.org"]
    subprocess.run([program, *who, *arguments], cwd=folder, check=True, capture_output=True)


def commit(folder: Path) -> None:
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", "All")


def test_the_version_is_written_once_and_shown_everywhere(tmp_path: Path) -> None:
    assert re.fullmatch(r"\d+\.\d+\.\d+", VERSION)  # as npm, PyPI and people want it
    settings = Settings(database_url=f"sqlite:///{tmp_path}/x.db", upload_dir=str(tmp_path / "up"))
    app = create_app(settings)
    client = app.test_client()
    assert client.get("/healthz").json == {"status": "alive", "version": VERSION}
    assert f"Presence {VERSION}" in client.get("/").text.split("<footer")[1]
    for path in ("/api/openapi.json", "/api/asyncapi.json"):
        document = client.get(path).json
        assert document is not None
        assert document["info"]["version"] == VERSION
    printed = app.test_cli_runner().invoke(args=["version"]).output
    assert printed.startswith(f"Presence {VERSION}\nPython {sys.version.split(maxsplit=1)[0]}\n")
    assert f"presence_client-{VERSION}-py3-none-any.whl" in (ROOT / "docs/clients.md").read_text()


def test_the_changelog_says_of_each_version_what_an_operator_has_to_do() -> None:
    sections = re.split(r"^## ", CHANGELOG, flags=re.MULTILINE)[1:]
    assert sections[0].startswith(("Unreleased\n", f"{VERSION} "))
    assert any(section.startswith(f"{VERSION} ") for section in sections)
    for section in sections:
        assert "### What an operator has to do\n" in section, section[:40]


def test_a_release_is_the_same_bytes_each_time(project: Path) -> None:
    made = releasing.files(project)
    assert set(made) == {
        f"presence-{VERSION}.tar.gz",
        f"presence-client-{VERSION}.tgz",
        f"presence_client-{VERSION}-py3-none-any.whl",
        "SHA256SUMS",
    }
    (project / "presence" / "a.py").touch()
    assert releasing.files(project) == made
    # As long as git gives the same archive, whatever gzip it has.
    source = made[f"presence-{VERSION}.tar.gz"]
    with tarfile.open(fileobj=io.BytesIO(source)) as tar:
        assert f"presence-{VERSION}/presence/a.py" in tar.getnames()
    assert gzip.decompress(source)
    with zipfile.ZipFile(io.BytesIO(made[f"presence_client-{VERSION}-py3-none-any.whl"])) as wheel:
        metadata = wheel.read(f"presence_client-{VERSION}.dist-info/METADATA").decode()
    assert f"\nVersion: {VERSION}\n" in metadata
    with tarfile.open(fileobj=io.BytesIO(made[f"presence-client-{VERSION}.tgz"])) as tar:
        described = tar.extractfile("package/package.json")
        assert described is not None
        assert json.load(described)["version"] == VERSION
    for line in made["SHA256SUMS"].decode().splitlines():
        checksum, name = line.split("  ")
        assert hashlib.sha256(made[name]).hexdigest() == checksum


def test_what_cannot_be_released_is_told(project: Path, tmp_path: Path) -> None:
    releasing.check(project)
    (project / "new.txt").write_text("")
    with pytest.raises(releasing.CannotRelease, match="not committed"):
        releasing.check(project)
    (project / "new.txt").unlink()
    (project / "CHANGELOG.md").write_text(f"# Changelog\n\n## Unreleased\n\n## {VERSION}\n")
    commit(project)
    with pytest.raises(releasing.CannotRelease, match="Give it the version that it becomes"):
        releasing.check(project)
    (project / "CHANGELOG.md").write_text("# Changelog\n\n## 0.0.1\n")
    commit(project)
    with pytest.raises(releasing.CannotRelease, match=f"no section “## {VERSION}”"):
        releasing.check(project)
    with pytest.raises(releasing.CannotRelease, match="git does not know this folder"):
        releasing.check(tmp_path)
