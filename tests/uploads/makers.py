"""Small files with the structure that real programs write, made piece by piece."""

from __future__ import annotations

import io
import struct
import uuid
import zipfile
import zlib
from collections.abc import Sequence
from typing import Any

from PIL import Image

from tests.support.paths import SAMPLES

EQUATION = "0002CE02-0000-0000-C000-000000000046"
CLIP_ART = "00030007-0000-0000-C000-000000000046"
PICTURE = "0003000A-0000-0000-C000-000000000046"
PACKAGE = "0003000C-0000-0000-C000-000000000046"

RELATIONS = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_PACKAGE = "http://schemas.openxmlformats.org/package/2006"
_WORD = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
MAIN_TYPE = "application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml"
_HEAD = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>'


def sample(name: str) -> bytes:
    return (SAMPLES / name).read_bytes()


def picture(kind: str, size: tuple[int, int] = (12, 8), frames: int = 1, **options: Any) -> bytes:
    """A picture with some pattern, in as many frames."""
    made = [
        Image.linear_gradient("L").resize(size).rotate(90 * turn).convert("RGB")
        for turn in range(frames)
    ]
    out = io.BytesIO()
    if frames > 1:
        options |= {"save_all": True, "append_images": made[1:], "duration": 50}
    made[0].save(out, kind, **options)
    return out.getvalue()


def large_jpeg(width: int, height: int) -> bytes:
    """A grey picture, which is made in a byte for a pixel."""
    out = io.BytesIO()
    Image.new("L", (width, height), 128).save(out, "JPEG", quality=5)
    return out.getvalue()


def segment(marker: int, data: bytes, length: int | None = None) -> bytes:
    """A segment of a JPEG; `length` is what it says of itself, the right one unless given."""
    said = len(data) + 2 if length is None else length
    return struct.pack(">BBH", 0xFF, marker, said) + data


def in_jpeg(between: bytes, content: bytes | None = None) -> bytes:
    """A JPEG with something between its first two segments."""
    whole = content or picture("JPEG")
    (length,) = struct.unpack_from(">H", whole, 4)
    return whole[: 4 + length] + between + whole[4 + length :]


def chunk(kind: bytes, data: bytes, crc: int | None = None) -> bytes:
    """A chunk of a PNG; `crc` is its check sum, the right one unless given."""
    made = zlib.crc32(kind + data) if crc is None else crc
    return struct.pack(">L", len(data)) + kind + data + struct.pack(">L", made)


def png(*chunks: bytes) -> bytes:
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def png_header(width: int, height: int) -> bytes:
    return struct.pack(">LLBBBBB", width, height, 8, 0, 0, 0, 0)


def pdf(text: str = "hello", before: bytes = b"") -> bytes:
    """A PDF of one page, with its table of objects."""
    stream = f"BT /F1 12 Tf 20 20 Td ({text}) Tj ET".encode()
    objects = [
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 99 99]/Contents 4 0 R/Resources<<>>>>",
        b"<</Length %d>>\nstream\n%b\nendstream" % (len(stream), stream),
    ]
    out = b"%PDF-1.4\n"
    places = []
    for number, body in enumerate(objects, 1):
        places.append(len(out))
        out += b"%d 0 obj\n%b\nendobj\n" % (number, body)
    table = len(out)
    out += b"xref\n0 5\n0000000000 65535 f \n"
    out += b"".join(b"%010d 00000 n \n" % place for place in places)
    out += b"trailer\n<</Size 5/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF\n" % table
    return before + out


def apple_single(content_at: int = 50) -> bytes:
    """The header of a file that a Macintosh sent as one, of a name and the content behind it."""
    entries = struct.pack(">6L", 3, 50, 0, 1, content_at, 1000)
    return struct.pack(">4sL16sH", b"\0\5\x16\0", 0x20000, b"", 2) + entries


def mac_binary(kind: bytes = b"PDF ") -> bytes:
    return (b"\0\5a.pdf".ljust(65, b"\0") + kind + b"CARO").ljust(128, b"\0")


def archive(parts: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as made:
        for name, data in parts.items():
            made.writestr(name, data)
    return out.getvalue()


def paragraph(inside: str) -> str:
    return f"<w:p><w:r>{inside}</w:r></w:p>"


def story(*paragraphs: str) -> bytes:
    body = "".join(paragraphs) or paragraph("<w:t>hello</w:t>")
    text = f'{_HEAD}<w:document xmlns:w="{_WORD}"><w:body>{body}</w:body></w:document>'
    return text.encode()


def relations(*targets: tuple[str, str, bool]) -> bytes:
    """Relations of a part: (kind, target, whether it is outside the document)."""
    made = "".join(
        f'<Relationship Id="rId{number}" Type="{RELATIONS}/{kind}" Target="{target}"'
        + (' TargetMode="External"/>' if outside else "/>")
        for number, (kind, target, outside) in enumerate(targets, 1)
    )
    return f'{_HEAD}<Relationships xmlns="{_PACKAGE}/relationships">{made}</Relationships>'.encode()


def docx(
    document: bytes | None = None,
    main: str = "word/document.xml",
    outside: Sequence[tuple[str, str]] = (),
    main_type: str = MAIN_TYPE,
    more: dict[str, bytes] | None = None,
) -> bytes:
    """A Word document, with more parts by their names."""
    types = (
        f'{_HEAD}<Types xmlns="{_PACKAGE}/content-types">'
        '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.'
        'relationships+xml"/><Default Extension="xml" ContentType="application/xml"/>'
        '<Default Extension="bin" ContentType="application/vnd.openxmlformats-officedocument.'
        f'oleObject"/><Override PartName="/{main}" ContentType="{main_type}"/></Types>'
    )
    folder, _, name = main.rpartition("/")
    parts = {
        "[Content_Types].xml": types.encode(),
        "_rels/.rels": relations(("officeDocument", main, False)),
        main: document or story(),
    }
    if outside:
        parts[f"{folder}/_rels/{name}.rels"] = relations(
            *((kind, target, True) for kind, target in outside)
        )
    return archive(parts | (more or {}))


def field(*pieces: str) -> str:
    """A field whose instruction comes in several pieces, each in a run of its own."""
    mark = '<w:fldChar w:fldCharType="{}"/>'
    made = [
        mark.format("begin"),
        *(
            piece
            if piece.startswith("<")
            else f'<w:instrText xml:space="preserve">{piece}</w:instrText>'
            for piece in pieces
        ),
        mark.format("separate"),
        "<w:t>result</w:t>",
        mark.format("end"),
    ]
    return "</w:r><w:r>".join(made)


_SECTOR = 512
_FREE, _END, _FAT = 0xFFFFFFFF, 0xFFFFFFFE, 0xFFFFFFFD
# Smaller streams stand elsewhere in a compound file; ours are filled up instead.
_SMALLEST = 4096


def compound(
    streams: dict[str, bytes],
    classes: dict[str, str] | None = None,
    sizes: dict[str, int] | None = None,
) -> bytes:
    """An OLE compound file: streams by path, class ids of storages, and sizes that are not true."""
    paths = {path for full in streams for path in _with_parents(full)}
    entries = ["", *sorted(paths)]
    chains, content = [], b""
    for path in entries:
        if path in streams:
            data = streams[path].ljust(_SMALLEST, b"\0")
            chains.append((len(content) // _SECTOR, data))
            content += data.ljust(-(-len(data) // _SECTOR) * _SECTOR, b"\0")
        else:
            chains.append((_END, b""))
    directory = b"".join(
        _entry(
            path,
            entries,
            kind=5 if not path else 2 if path in streams else 1,
            class_id=(classes or {}).get(path),
            begin=begin,
            size=(sizes or {}).get(path, len(data)),
        )
        for path, (begin, data) in zip(entries, chains, strict=True)
    )
    directory = directory.ljust(-(-len(directory) // _SECTOR) * _SECTOR, b"\0")
    first_directory = len(content) // _SECTOR
    content += directory
    used = len(content) // _SECTOR
    tables = -(-used // (_SECTOR // 4 - 1))
    fat = [*range(1, used + 1)]
    for begin, data in chains:
        if data:
            fat[begin + -(-len(data) // _SECTOR) - 1] = _END
    fat[used - 1] = _END
    fat += [_FAT] * tables
    fat += [_FREE] * (tables * _SECTOR // 4 - len(fat))
    header = struct.pack(
        "<8s16sHHHHH6x9L",
        b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1",
        b"",
        0x3E,
        3,
        0xFFFE,
        9,
        6,
        0,
        tables,
        first_directory,
        0,
        _SMALLEST,
        _END,
        0,
        _END,
        0,
    )
    places = [*range(used, used + tables)]
    header += struct.pack("<109L", *places, *[_FREE] * (109 - tables))
    return header + content + struct.pack(f"<{len(fat)}L", *fat)


def _with_parents(path: str) -> list[str]:
    parts = path.split("/")
    return ["/".join(parts[:number]) for number in range(1, len(parts) + 1)]


def _entry(
    path: str, entries: list[str], *, kind: int, class_id: str | None, begin: int, size: int
) -> bytes:
    """A directory entry; the children of a storage hang one on the other."""
    name = (path.rpartition("/")[2] or "Root Entry").encode("utf-16-le") + b"\0\0"
    parent = path.rpartition("/")[0]
    siblings = [e for e in entries[1:] if e.rpartition("/")[0] == parent] if path else []
    after = siblings[siblings.index(path) + 1 :] if path else []
    children = [e for e in entries[1:] if e.rpartition("/")[0] == path]
    return struct.pack(
        "<64sHBBLLL16sL16xLQ",
        name,
        len(name),
        kind,
        1,
        _FREE,
        entries.index(after[0]) if after else _FREE,
        entries.index(children[0]) if children else _FREE,
        uuid.UUID(class_id).bytes_le if class_id else b"",
        0,
        begin,
        size,
    )


def doc(objects: Sequence[tuple[str, bytes]] = (), text: bytes = b"hello", **changes: Any) -> bytes:
    """A Word 97–2003 document with embedded objects, each a class id and its data."""
    streams = {"WordDocument": b"\xec\xa5" + b"\0" * 30 + text, "1Table": b"\0" * 100}
    classes = {}
    for number, (class_id, data) in enumerate(objects):
        storage = f"ObjectPool/_{number}"
        streams[f"{storage}/\x01Ole10Native"] = data
        classes[storage] = class_id
    return compound(streams, classes, **changes)


def package(name: str, content: bytes) -> bytes:
    """The data of an object that is any file."""
    label = name.encode() + b"\0"
    path = b"C:\\" + label
    body = b"\2\0" + label + path + struct.pack("<LL", 0x30000, len(path)) + path
    body += struct.pack("<L", len(content)) + content
    return struct.pack("<L", len(body)) + body


def program() -> bytes:
    """The beginning of a program of Windows."""
    return b"MZ" + b"\0" * 58 + struct.pack("<L", 64) + b"PE\0\0" + b"\0" * 100


def ole_object(class_id: str, data: bytes) -> bytes:
    """An object as a DOCX embeds it: a compound file of its own."""
    return compound({"\x01Ole10Native": data}, {"": class_id})
