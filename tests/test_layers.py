"""The layers are the design: transport → domain → storage, and no import points up."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PRESENCE = ROOT / "presence"

# What each part may import of the server, and which frameworks it may not know.
ALLOWED = {
    "transport": {"transport", "domain", "storage", "errors", "config", "logs"},
    "domain": {"domain", "storage", "errors"},
    "storage": {"storage", "config"},
    "errors": set(),
    "config": set(),
    "logs": {"config"},
}
FRAMEWORKS = {
    "flask",
    "flask_socketio",
    "flask_cors",
    "werkzeug",
    "socketio",
    "engineio",
    "eventlet",
}
UNKNOWN_TO = {"domain": FRAMEWORKS, "errors": FRAMEWORKS, "config": FRAMEWORKS, "logs": FRAMEWORKS}


def imported(path: Path) -> set[str]:
    """Return the dotted names of all modules that a file imports."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively"
            names |= {f"{node.module}.{alias.name}" for alias in node.names} | {str(node.module)}
    return names


def modules(part: str) -> list[Path]:
    single = PRESENCE / f"{part}.py"
    return [single] if single.exists() else sorted((PRESENCE / part).rglob("*.py"))


@pytest.mark.parametrize("part", ALLOWED)
def test_no_import_points_up(part: str) -> None:
    found = modules(part)
    assert found, f"there is no {part}"
    for path in found:
        own = {name.split(".")[1] for name in imported(path) if name.startswith("presence.")}
        assert own <= ALLOWED[part], f"{path.name} imports {own - ALLOWED[part]}"


@pytest.mark.parametrize("part", UNKNOWN_TO)
def test_the_domain_knows_no_framework(part: str) -> None:
    for path in modules(part):
        roots = {name.split(".")[0] for name in imported(path)}
        assert not roots & UNKNOWN_TO[part], path.name


def test_every_module_belongs_to_a_layer() -> None:
    parts = {path.stem for path in PRESENCE.iterdir() if path.suffix == ".py" or path.is_dir()}
    assert parts - {"__init__", "__pycache__"} == set(ALLOWED)


def test_nothing_below_imports_the_composition_root() -> None:
    for path in PRESENCE.rglob("*.py"):
        assert "app" not in imported(path), path.name


def test_eventlet_is_imported_nowhere_but_where_it_must() -> None:
    its_servers = {"streams.py", "stream_connections.py", "gunicorn_worker.py"}
    for path in PRESENCE.rglob("*.py"):
        if path.name not in its_servers:
            assert not any(name.split(".")[0] == "eventlet" for name in imported(path)), path.name


def test_folders_are_one_deep() -> None:
    for path in PRESENCE.rglob("*.py"):
        depth = len(path.relative_to(PRESENCE).parts)
        assert depth <= 2 or "migrations" in path.parts, path
