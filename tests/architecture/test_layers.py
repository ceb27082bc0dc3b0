"""The layers are the design, and each has its rooms in order: no import points up or in a circle.

What is imported for the type checker alone counts like any other import.
"""

from __future__ import annotations

import ast
import functools
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
PRESENCE = ROOT / "presence"

# What each layer may import of the server, and which frameworks it may not know.
ALLOWED = {
    "transport": {"transport", "domain", "storage", "errors", "config", "setting_values", "logs"},
    "domain": {"domain", "storage", "errors"},
    "storage": {"storage", "config", "setting_values"},
    "errors": {"errors"},
    "config": {"setting_values"},
    "setting_values": set(),
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
UNKNOWN_TO = dict.fromkeys(("domain", "errors", "config", "setting_values", "logs"), FRAMEWORKS)

# The rooms of a layer, the lowest first. A room may use itself and those before it; those of one
# line do not know each other.
ROOMS = {
    "transport": [
        {"wire"},
        {"websocket", "polling"},
        {"engine"},
        {"trust"},
        {"admission"},
        {"live"},
        {"cluster"},
        {"process"},
        {"backend", "serving"},
        {"rest", "events"},
        {"describing"},
        {"pages", "commands"},
    ],
    "domain": [{"values"}, {"permissions"}, {"outbox"}, {"rooms"}, {"peers"}, {"data", "files"}],
}

# A list that is read by looking a line up.
LONG = {"config.py"}
MOST_LINES = 400
MOST_MODULES = 16
# Where they are a list, read from its end, that only gets longer.
NUMBERED = {"versions"}


@functools.cache
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


def dotted(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


@functools.cache
def arrows() -> dict[str, set[str]]:
    """Return which modules of the server each of its modules imports, by their dotted names."""
    ours = {dotted(path): path for path in [ROOT / "app.py", *PRESENCE.rglob("*.py")]}
    return {name: (imported(path) & ours.keys()) - {name} for name, path in ours.items()}


def file_of(name: str) -> str:
    return name.replace(".", "/") + ".py"


def room_of(name: str, layer: str) -> str | None:
    parts = name.split(".")
    return parts[2] if len(parts) > 3 and parts[:2] == ["presence", layer] else None


def misplaced(above: str, below: str, layer: str) -> str | None:
    """Return what is wrong with an import between two rooms of a layer, or None."""
    importing, used = room_of(above, layer), room_of(below, layer)
    if importing is None or used is None or importing == used:
        return None
    place = {room: level for level, rooms in enumerate(ROOMS[layer]) for room in rooms}
    if place[used] < place[importing]:
        return None
    way = "sideways" if place[used] == place[importing] else "upwards"
    return f"{file_of(above)} imports {way}: {file_of(below)} is not in a room below “{importing}”"


def circles(graph: dict[str, set[str]]) -> list[list[str]]:
    """Return the modules that import each other in circles (Tarjan's components of several)."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found: list[list[str]] = []

    def visit(name: str) -> None:
        index[name] = low[name] = len(index)
        stack.append(name)
        for used in sorted(graph[name]):
            if used not in index:
                visit(used)
                low[name] = min(low[name], low[used])
            elif used in stack:
                low[name] = min(low[name], index[used])
        if low[name] == index[name]:
            component = stack[stack.index(name) :]
            del stack[stack.index(name) :]
            if len(component) > 1:
                found.append(sorted(component))

    for name in sorted(graph):
        if name not in index:
            visit(name)
    return found


@pytest.mark.parametrize("part", ALLOWED)
def test_no_import_points_up(part: str) -> None:
    found = modules(part)
    assert found, f"there is no {part}"
    for path in found:
        own = {name.split(".")[1] for name in imported(path) if name.startswith("presence.")}
        assert own <= ALLOWED[part], f"{path.name} imports {own - ALLOWED[part]}"


@pytest.mark.parametrize("layer", ROOMS)
def test_no_import_points_up_or_sideways_between_rooms(layer: str) -> None:
    wrong = [misplaced(above, below, layer) for above, used in arrows().items() for below in used]
    assert not any(wrong), "\n".join(filter(None, wrong))


def test_no_modules_import_each_other_in_a_circle() -> None:
    for names in circles(arrows()):
        pytest.fail(f"these import each other in a circle: {', '.join(map(file_of, names))}")


def test_what_these_tests_look_for_is_found() -> None:
    above, below = "presence.transport.wire.messages", "presence.transport.live.announcer"
    sentence = misplaced(above, below, "transport")
    assert sentence is not None
    assert file_of(above) in sentence
    assert file_of(below) in sentence
    assert misplaced("presence.transport.rest.a", "presence.transport.events.b", "transport")
    assert misplaced(below, above, "transport") is None
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}}) == [["a", "b", "c"]]


@pytest.mark.parametrize("layer", ROOMS)
def test_every_room_has_its_place_and_says_what_it_holds(layer: str) -> None:
    folders = {path for path in (PRESENCE / layer).iterdir() if (path / "__init__.py").exists()}
    assert {path.name for path in folders} == set().union(*ROOMS[layer])
    for folder in folders:
        purpose = (folder / "__init__.py").read_text()
        assert purpose.startswith('"""'), folder
        assert purpose.count("\n") == 1, f"{folder} says more than one line of itself"


def test_files_and_rooms_can_be_overlooked() -> None:
    for path in PRESENCE.rglob("*.py"):
        lines = path.read_text().count("\n")
        assert lines <= MOST_LINES or path.name in LONG, f"{path} has {lines} lines"
    for folder in {path.parent for path in PRESENCE.rglob("*.py")}:
        count = sum(1 for path in folder.glob("*.py") if path.name != "__init__.py")
        assert count <= MOST_MODULES or folder.name in NUMBERED, f"{folder} has {count} modules"


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
    its_servers = {
        *("streams.py", "turns.py", "stream_connections.py", "gunicorn_worker.py"),
        "eventlet_requests.py",
    }
    for path in PRESENCE.rglob("*.py"):
        if path.name not in its_servers:
            assert not any(name.split(".")[0] == "eventlet" for name in imported(path)), path.name
