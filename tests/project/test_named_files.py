"""What the documents tell people to open, run or set is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.support.paths import ROOT

DOCUMENTS = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").glob("*.md"))]
FOLDERS = "benchmarks|deploy|examples|local_cluster|presence|script|static|templates|tests"


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_every_file_that_a_document_names_is_there(path: Path) -> None:
    for name in re.findall(rf"(?<![\w./-])(?:{FOLDERS})/[\w./@-]*\w", path.read_text()):
        assert (ROOT / name).exists(), f"{path.name} names {name}"


def test_every_test_that_contributors_are_shown_is_there() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text()
    shown = re.findall(r'"(tests/[\w/.]+)::(\w+)"', text)
    assert shown
    for file, test in shown:
        assert f"def {test}(" in (ROOT / file).read_text(), test
    for folder, words in re.findall(r'pytest (tests/\w+) -k "(\w+)"', text):
        files = (ROOT / folder).glob("test_*.py")
        assert any(re.search(rf"def test_\w*{words}", file.read_text()) for file in files), words


def test_every_variable_that_contributors_may_set_is_read_by_a_test() -> None:
    named = set(re.findall(r"PRESENCE_TEST_\w+", (ROOT / "CONTRIBUTING.md").read_text()))
    read = "".join(path.read_text() for path in (ROOT / "tests").glob("**/*.py"))
    assert named
    for variable in named:
        assert f'environ.get("{variable}"' in read, variable
