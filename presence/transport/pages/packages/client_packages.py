"""The clients as packages: built from their folders by the standard library, always the same bytes.

A server hands out the clients that fit it, so their version is its own, and nobody needs npm or
pip's build tools where it runs.
"""

from __future__ import annotations

import base64
import functools
import gzip
import hashlib
import io
import json
import re
import tarfile
import tomllib
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from presence.config import ROOT, VERSION

JAVASCRIPT = ROOT / "static" / "client"
PYTHON = ROOT / "clients" / "python"

# Archives tell when their files were made; these say the earliest that a zip can.
_MADE_AT = 315_532_800
_ZIP_DATE = (1980, 1, 1, 0, 0, 0)
# What stands for a version in the folders of the clients.
_NO_VERSION = b'__version__ = "0.0.0"'
_IN_NPM = (".js", ".ts", ".md")


@dataclass(frozen=True)
class Package:
    """A package to hand out: its file's name and bytes, and what its programs begin with."""

    name: str
    content: bytes
    etag: str


@functools.cache
def javascript() -> Package:
    """Return the JavaScript client as npm installs it from an address."""
    files = javascript_files(JAVASCRIPT, VERSION)
    return _package("presence-client.tgz", _tar({f"package/{name}": files[name] for name in files}))


@functools.cache
def python() -> Package | None:
    """Return the Python client as a wheel (PEP 427), or None where its folder is not."""
    if not (PYTHON / "pyproject.toml").is_file():
        return None
    name, files = wheel_files(PYTHON, VERSION)
    return _package(name, _zip(files))


def javascript_files(folder: Path, version: str) -> dict[str, bytes]:
    """Return what is in the npm package: the modules, as CommonJS too, with their types."""
    files = {path.name: path.read_bytes() for path in folder.iterdir() if path.suffix in _IN_NPM}
    described = json.loads((folder / "package.json").read_text())
    described["version"] = version
    files["package.json"] = (json.dumps(described, indent=2) + "\n").encode()
    for name in [name for name in files if name.endswith(".js")]:
        files[f"cjs/{name.removesuffix('.js')}.cjs"] = as_commonjs(files[name].decode()).encode()
    for name in [name for name in files if name.endswith(".d.ts")]:
        types = re.sub(r'"(\./[^"]+)\.js"', r'"\1.cjs"', files[name].decode())
        files[f"cjs/{name.removesuffix('.d.ts')}.d.cts"] = types.encode()
    return files


def _required_in_package(path: str) -> str:
    is_own = path.startswith("./")
    return f'require("{path.removesuffix(".js")}.cjs")' if is_own else f'require("{path}")'


def as_commonjs(module: str, required: Callable[[str], str] = _required_in_package) -> str:
    """Return an ES module of ours as CommonJS; `required` says how it gets another, by its path.

    It knows the few forms that they use: imports of names, or for what a module does by itself, and
    named exports of declarations, of names and from another module. Raises `ValueError` for any
    other.
    """
    exported: list[str] = []

    def names(listed: str) -> list[tuple[str, str]]:
        pairs = [
            item.split(" as ") for item in listed.replace("\n", " ").split(",") if item.strip()
        ]
        return [(pair[0].strip(), pair[-1].strip()) for pair in pairs]

    def done(match: re.Match[str]) -> str:
        return f"{required(match[1])};"

    def imported(match: re.Match[str]) -> str:
        bound = [old if old == new else f"{old}: {new}" for old, new in names(match[1])]
        return f"const {{ {', '.join(bound)} }} = {required(match[2])};"

    def passed_on(match: re.Match[str]) -> str:
        found = required(match[2])
        return "\n".join(f"exports.{new} = {found}.{old};" for old, new in names(match[1]))

    def listed(match: re.Match[str]) -> str:
        exported.extend(f"exports.{new} = {old};" for old, new in names(match[1]))
        return ""

    def declared(match: re.Match[str]) -> str:
        exported.append(f"exports.{match[2]} = {match[2]};")
        return f"{match[1]} {match[2]}"

    text = re.sub(r'^import \{([^}]*)\} from "([^"]+)";', imported, module, flags=re.MULTILINE)
    text = re.sub(r'^import "([^"]+)";', done, text, flags=re.MULTILINE)
    text = re.sub(r'^export \{([^}]*)\} from "([^"]+)";', passed_on, text, flags=re.MULTILINE)
    text = re.sub(r"^export \{([^}]*)\};", listed, text, flags=re.MULTILINE)
    text = re.sub(
        r"^export (class|const|function|async function) (\w+)", declared, text, flags=re.MULTILINE
    )
    unknown = re.search(r"^(import|export)\b.*", text, re.MULTILINE)
    if unknown:
        raise ValueError(f"not known as CommonJS: {unknown[0]}")
    return '"use strict";\n' + text + "\n".join(exported) + "\n"


def wheel_files(folder: Path, version: str) -> tuple[str, dict[str, bytes]]:
    """Return the name of a wheel, and what is in it: the package and its metadata.

    `folder` has a ``pyproject.toml`` and the package, in a folder named as its project is.
    """
    project = tomllib.loads((folder / "pyproject.toml").read_text())["project"]
    module = re.sub(r"[-_.]+", "_", project["name"])
    files = {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in (folder / module).rglob("*")
        if path.is_file() and path.suffix != ".pyc"
    }
    own = files[f"{module}/__init__.py"]
    files[f"{module}/__init__.py"] = own.replace(_NO_VERSION, f'__version__ = "{version}"'.encode())
    info = f"{module}-{version}.dist-info"
    tag = "py3-none-any"
    files[f"{info}/METADATA"] = _metadata(project, version, folder).encode()
    files[f"{info}/WHEEL"] = (
        f"Wheel-Version: 1.0\nGenerator: presence\nRoot-Is-Purelib: true\nTag: {tag}\n".encode()
    )
    record = f"{info}/RECORD"
    lines = [f"{name},{_hash(files[name])},{len(files[name])}" for name in sorted(files)]
    files[record] = "\n".join([*lines, f"{record},,", ""]).encode()
    return f"{module}-{version}-{tag}.whl", files


def _metadata(project: dict[str, object], version: str, folder: Path) -> str:
    """Return a project's core metadata, version 2.1."""
    lines = [
        "Metadata-Version: 2.1",
        f"Name: {project['name']}",
        f"Version: {version}",
        f"Summary: {project.get('description', '')}",
    ]
    if "requires-python" in project:
        lines.append(f"Requires-Python: {project['requires-python']}")
    for name, key in (("Classifier", "classifiers"), ("Requires-Dist", "dependencies")):
        values = project.get(key)
        lines += [f"{name}: {value}" for value in (values if isinstance(values, list) else [])]
    readme = folder / str(project.get("readme", "README.md"))
    text = readme.read_text() if readme.is_file() else ""
    lines.append("Description-Content-Type: text/markdown")
    return "\n".join([*lines, "", text])


def _hash(content: bytes) -> str:
    digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).decode().rstrip("=")
    return f"sha256={digest}"


def _package(name: str, content: bytes) -> Package:
    return Package(name, content, hashlib.sha256(content).hexdigest()[:32])


def _tar(files: dict[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with (
        gzip.GzipFile(fileobj=packed, mode="wb", mtime=0) as zipped,
        tarfile.open(fileobj=zipped, mode="w", format=tarfile.USTAR_FORMAT) as tar,
    ):
        for name in sorted(files):
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode, entry.mtime = len(files[name]), 0o644, _MADE_AT
            tar.addfile(entry, io.BytesIO(files[name]))
    return packed.getvalue()


def _zip(files: dict[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        # What describes the package stands at the end, as PEP 427 asks.
        for name in sorted(files, key=lambda name: (".dist-info/" in name, name)):
            entry = zipfile.ZipInfo(name, _ZIP_DATE)
            entry.external_attr = 0o644 << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, files[name])
    return packed.getvalue()
