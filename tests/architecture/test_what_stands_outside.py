"""Tests, benchmarks and the local cluster stand outside the server, and keep to their rooms."""

from __future__ import annotations

import ast
import re
import sys
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from tests.support.paths import ROOT

# What each part may import of the others.
ALLOWED = {
    "app.py": {"presence"},
    "gunicorn.conf.py": {"presence"},
    "presence": {"presence"},
    "local_cluster": {"local_cluster"},
    "benchmarks": {"benchmarks", "local_cluster", "presence"},
}
PARTS = {"app", "presence", "local_cluster", "benchmarks", "tests", "examples"}


def files(part: str) -> list[Path]:
    """Return the Python files of a part of the project, which may be a single one."""
    path = ROOT / part
    return [path] if path.is_file() else sorted(path.rglob("*.py"))


def imported(path: Path) -> set[str]:
    """Return the dotted names of all modules, or of names in them, that a file imports."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def top(names: set[str]) -> set[str]:
    return {name.split(".")[0] for name in names}


@pytest.mark.parametrize("part", ALLOWED)
def test_the_server_and_its_tools_import_only_what_they_may(part: str) -> None:
    found = files(part)
    assert found, f"there is no {part}"
    for path in found:
        wrong = top(imported(path)) & PARTS - ALLOWED[part]
        assert not wrong, f"{path.relative_to(ROOT)} must not import {', '.join(wrong)}"


def test_the_local_cluster_needs_no_package_that_requirements_txt_does_not_bring() -> None:
    asked = re.findall(r"^([\w-]+)", (ROOT / "requirements.txt").read_text(), re.MULTILINE)
    brought = {name.lower() for name in asked}
    distributions = packages_distributions()
    for path in files("local_cluster"):
        for module in top(imported(path)) - {"local_cluster"} - sys.stdlib_module_names:
            names = {name.lower() for name in distributions.get(module, [])}
            assert names & brought, f"{path.name} imports {module}, not of requirements.txt"


TESTS = [path for path in files("tests") if "node_modules" not in path.parts]


def test_a_file_of_tests_imports_of_its_own_room_and_of_support_alone() -> None:
    for path in TESTS:
        file = path.relative_to(ROOT)
        own = {"support", *file.parts[1:-1]}
        for name in imported(path):
            package, *rest = name.split(".")
            if package == "tests":
                assert rest[0] in own, f"{file} imports {name} of another room"
                assert not any(part.startswith("test_") for part in rest[:-1]), (
                    f"{file} imports {name} from other tests: give it a file of its own"
                )


def test_every_room_of_tests_says_in_a_line_what_it_is_about() -> None:
    rooms = {path.parent for path in TESTS}
    for room in rooms:
        docstring = ast.get_docstring(ast.parse((room / "__init__.py").read_text()))
        assert docstring, f"{room.relative_to(ROOT)}/__init__.py says nothing"


def test_only_what_pytest_looks_for_lies_outside_the_rooms() -> None:
    loose = {path.name for path in TESTS if path.parent == ROOT / "tests"}
    assert loose == {"__init__.py", "conftest.py"}
