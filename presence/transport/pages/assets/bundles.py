"""What a page loads, in one file of each kind: made from the modules and style sheets as they are.

There is no build step: a server makes each bundle when it is asked for first, and keeps it. Without
it a room would ask for some sixty files, one after the other.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path

from presence.transport.pages.packages.client_packages import as_commonjs

_COMMON = ("tokens", "base", "controls", "pass")
# The style sheets of each page, or of a part of one that is loaded when it is wanted, in the order
# in which they count.
STYLES = {
    "base": _COMMON,
    "overview": (*_COMMON, "overview"),
    "room": (
        *_COMMON,
        *("room", "lobby", "people", "files", "activity", "call", "whiteboard", "console"),
    ),
    "call": ("stage", "preview", "lines"),
    "doctor": (*_COMMON, "doctor"),
    "api": (*_COMMON, "api"),
    "admin": (*_COMMON, "overview", "admin"),
    "clients": (*_COMMON, "clients", "doctor"),
}
# The module with which the scripts of each begin.
SCRIPTS = {
    "overview": "js/overview.js",
    "room": "js/room.js",
    "call": "js/call-stage.js",
    "doctor": "js/doctor.js",
    "api": "js/api-page.js",
    "admin": "js/admin.js",
    "clients": "js/clients.js",
}
# Modules that a page imports only when they are needed, each with what it gives.
LATE = {
    "lightbox": ("js/lightbox.js", "openLightbox"),
    "try-it": ("js/try-it.js", "startTrying"),
}

_BEGIN = """"use strict";
const made = {};
const modules = {};
const require = (name) => {
  if (!made[name]) modules[name]((made[name] = {}));
  return made[name];
};
"""
# A comment that has lines to itself: more than a quarter of what would be sent.
_LINE_COMMENT = re.compile(r"^[ \t]*//.*\n", re.MULTILINE)
_BLOCK_COMMENT = re.compile(r"^[ \t]*/\*.*?\*/[ \t]*\n", re.MULTILINE | re.DOTALL)


def names() -> set[str]:
    """Return the names of the bundles."""
    return {f"{name}.css" for name in STYLES} | {f"{name}.js" for name in (*SCRIPTS, *LATE)}


def bundle(folder: Path, name: str) -> str:
    """Return a bundle of `names` as text, made from the files in a folder."""
    page, _, kind = name.partition(".")
    if kind == "css":
        return styles(folder, STYLES[page])
    if page in LATE:
        # Imported from a bundle, whose neighbour it is, as from a module beside its own.
        entry, given = LATE[page]
        return script(folder, entry).replace(
            f'export default require("{entry}");\n',
            f'export const {{ {given} }} = require("{entry}");\n',
        )
    return script(folder, SCRIPTS[page])


def styles(folder: Path, sheets: tuple[str, ...]) -> str:
    """Return style sheets in one."""
    text = "".join((folder / "css" / f"{name}.css").read_text() for name in sheets)
    return _BLOCK_COMMENT.sub("", text)


def script(folder: Path, entry: str) -> str:
    """Return a module with every module of ours that it needs, as one module.

    What it exports is the `default` of that, for who loads it when it is wanted.

    Each stands in a function of its own, which runs when it is first required, as ES modules do
    that import each other without a circle. Raises `ValueError` for what `as_commonjs` cannot read.
    """
    parts: dict[str, str] = {}
    waiting = [entry]
    while waiting:
        name = waiting.pop()
        if name in parts:
            continue
        needed: list[str] = []

        def required(path: str, name: str = name, needed: list[str] = needed) -> str:
            target = posixpath.normpath(posixpath.join(posixpath.dirname(name), path))
            needed.append(target)
            return f'require("{target}")'

        text = as_commonjs((folder / name).read_text(), required)
        text = _BLOCK_COMMENT.sub("", _LINE_COMMENT.sub("", text))
        parts[name] = f'modules["{name}"] = (exports) => {{\n{text}}};\n'
        waiting += needed
    return f'{_BEGIN}{"".join(parts.values())}export default require("{entry}");\n'
