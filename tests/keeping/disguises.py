"""Files that are not what they seem: for one test that each is refused or harmless when served.

Whatever could run carries a program that would say so: it sets `MARK` in the window that runs it.
"""

from __future__ import annotations

import io
import struct
import zipfile
import zlib

from tests.support.paths import SAMPLES

MARK = "ranInTheBrowser"
SCRIPT = f"window.top.{MARK}=(window.top.{MARK}||0)+1;document.title='{MARK}';alert('{MARK}')"
PAGE = f'<!doctype html><script>{SCRIPT}</script><img src=x onerror="{SCRIPT}">'.encode()
PHP = b"<?php system($_GET['c']); ?>"
REFERENCES = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"


def sample(name: str) -> bytes:
    return (SAMPLES / name).read_bytes()


def gif_that_is_a_script() -> bytes:
    """A GIF whose width begins a JavaScript comment that ends behind the picture."""
    picture = bytearray(sample("photo.gif"))
    picture[6:8] = b"/*"
    return bytes(picture) + b"*/=1;" + SCRIPT.encode()


def gif_that_is_a_script_to_the_end() -> bytes:
    """A GIF, whole and with nothing behind it, that is a JavaScript program as well.

    The comment that its width begins ends in a GIF comment, and the next one reaches the trailer.
    """
    small = b"GIF89a" + b"/*" + b"\x01\x00" + b"\x00\x00\x00"
    program = b"*/=1;" + SCRIPT.encode() + b";//"
    comment = b"\x21\xfe" + bytes([len(program)]) + program + b"\x00"
    picture = b"\x2c" + b"\0" * 4 + b"\x01\x00\x01\x00" + b"\x80" + b"\1" * 6 + b"\x02\x02\x44\x01"
    return small + comment + picture + b"\x00\x3b"


def png(width: int, height: int, *chunks: tuple[bytes, bytes]) -> bytes:
    """A PNG that says it has this size, with further chunks before its end."""
    head = struct.pack(">LLBBBBB", width, height, 8, 2, 0, 0, 0)
    parts = [(b"IHDR", head), (b"IDAT", zlib.compress(b"\0" * 64)), *chunks, (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">L", len(data)) + kind + data + struct.pack(">L", zlib.crc32(kind + data))
        for kind, data in parts
    )


def jpeg_with_comment(comment: bytes) -> bytes:
    picture = sample("photo.jpg")
    return picture[:2] + b"\xff\xfe" + struct.pack(">H", len(comment) + 2) + comment + picture[2:]


def huge_jpeg() -> bytes:
    """A JPEG that says it has 65,500 × 65,500 pixels."""
    picture = bytearray(sample("photo.jpg"))
    frame = picture.index(b"\xff\xc0")
    picture[frame + 5 : frame + 9] = struct.pack(">HH", 65_500, 65_500)
    return bytes(picture)


def huge_gif() -> bytes:
    picture = bytearray(sample("photo.gif"))
    picture[6:10] = struct.pack("<HH", 65_500, 65_500)
    return bytes(picture)


def huge_webp() -> bytes:
    canvas = struct.pack("<L", 16_000_000)[:3] * 2
    chunks = b"VP8X" + struct.pack("<L", 10) + b"\0" * 4 + canvas + sample("photo.webp")[12:]
    return b"RIFF" + struct.pack("<L", len(chunks) + 4) + b"WEBP" + chunks


def archive(parts: dict[str, bytes], comment: bytes = b"") -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as made:
        for name, data in parts.items():
            made.writestr(name, data)
        made.comment = comment
    return content.getvalue()


def docx(**changes: bytes | None) -> bytes:
    """The sample document with some parts changed or added; ``__`` in a name stands for ``/``."""
    with zipfile.ZipFile(SAMPLES / "notes.docx") as document:
        parts = {name: document.read(name) for name in document.namelist()}
    for name, data in changes.items():
        if data is not None:
            parts[name.replace("__", "/")] = data
    return archive(parts)


def content_types(old: str, new: str) -> bytes:
    with zipfile.ZipFile(SAMPLES / "notes.docx") as document:
        declared = document.read("[Content_Types].xml").decode()
    assert old in declared
    return declared.replace(old, new).encode()


def relationship(kind: str, target: str) -> bytes:
    """The relationships of a part: one, to something outside the document."""
    return (
        '<?xml version="1.0" encoding="UTF-8"?><Relationships xmlns="http://schemas.'
        'openxmlformats.org/package/2006/relationships"><Relationship Id="rId1" '
        f'Type="{REFERENCES}/{kind}" Target="{target}" TargetMode="External"/></Relationships>'
    ).encode()


def overlapping_archive() -> bytes:
    """A document whose directory names the same compressed bytes twice."""
    parts = {"word/a.xml": b"\0" * 1000, "word/b.xml": b"\0" * 1000}
    with zipfile.ZipFile(SAMPLES / "notes.docx") as document:
        parts |= {name: document.read(name) for name in document.namelist()}
    content = bytearray(archive(parts))
    offsets = []
    at = content.index(b"PK\x01\x02")
    for _ in range(2):
        offsets.append(at + 42)
        at = content.index(b"PK\x01\x02", at + 1)
    first = content[offsets[0] : offsets[0] + 4]
    content[offsets[1] : offsets[1] + 4] = first
    return bytes(content)


def bomb() -> bytes:
    """A document with a part that says it unfolds to one gigabyte."""
    made = bytearray(docx(word__media__image1=b"\0" * 1_000_000))
    last = made.rindex(b"PK\x01\x02")
    made[last + 24 : last + 28] = struct.pack("<L", 1024 * 1024 * 1024)
    return bytes(made)


def doc_with_macros() -> bytes:
    """The sample's directory with one of its streams renamed to the storage of macros."""
    document = sample("notes.doc")
    old = "CompObj".encode("utf-16-le")
    for stream in ("\x01CompObj", "1Table", "0Table", "Data"):
        name = stream.encode("utf-16-le") + b"\0\0"
        at = document.find(name)
        if at >= 0:
            entry = bytearray(document[at : at + 64])
            new = "Macros".encode("utf-16-le")
            entry[:] = new + b"\0" * (64 - len(new))
            return (
                document[:at] + bytes(entry) + struct.pack("<H", len(new) + 2) + document[at + 66 :]
            )
    raise AssertionError(f"the sample has no stream to rename ({old!r})")


# What must be refused, and with which code.
REFUSED: dict[str, tuple[bytes, str, str]] = {
    "a script behind a GIF": (gif_that_is_a_script(), "a.gif", "file_type_refused"),
    "PHP behind a PNG": (sample("photo.png") + PHP, "a.png", "file_type_refused"),
    "a page behind a WebP": (sample("photo.webp") + PAGE, "a.webp", "file_type_refused"),
    "a page before a PDF": (PAGE + sample("notes.pdf"), "a.pdf", "file_type_refused"),
    "a page behind a PDF": (sample("notes.pdf") + PAGE * 20, "a.pdf", "file_type_refused"),
    "an archive behind a PDF": (
        sample("notes.pdf") + archive({"a.class": b"x"}),
        "a.pdf",
        "file_type_refused",
    ),
    "an archive behind a JPEG": (
        sample("photo.jpg") + archive({"a.class": b"x"}),
        "a.jpg",
        "file_type_refused",
    ),
    "a page with the first bytes of a JPEG": (b"\xff\xd8\xff" + PAGE, "a.jpg", "file_type_refused"),
    "a page with the first bytes of a GIF": (b"GIF89a" + PAGE, "a.gif", "file_type_refused"),
    "a page in the shape of a WebP": (
        b"RIFF" + struct.pack("<L", len(PAGE) + 4) + b"WEBP" + PAGE,
        "a.webp",
        "file_type_refused",
    ),
    "a PNG without an end": (sample("photo.png")[:-12], "a.png", "file_type_refused"),
    "an SVG called PNG": (
        f"<svg xmlns='http://www.w3.org/2000/svg' onload=\"{SCRIPT}\"/>".encode(),
        "a.png",
        "file_type_refused",
    ),
    "a huge PNG": (png(60_000, 60_000), "a.png", "image_too_large"),
    "a huge JPEG": (huge_jpeg(), "a.jpg", "image_too_large"),
    "a huge GIF": (huge_gif(), "a.gif", "image_too_large"),
    "a huge WebP": (huge_webp(), "a.webp", "image_too_large"),
    "a PNG of no size": (png(0, 5), "a.png", "file_type_refused"),
    "a GIF of countless parts": (
        b"GIF89a\1\0\1\0\0\0\0" + (b"\x2c" + b"\0" * 11) * 100_000 + b";",
        "a.gif",
        "file_too_complex",
    ),
    "a DOCM called DOCX": (
        docx(
            **{
                "[Content_Types].xml": content_types(
                    "application/vnd.openxmlformats-officedocument.wordprocessingml.document.main",
                    "application/vnd.ms-word.document.macroEnabled.main",
                )
            }
        ),
        "a.docx",
        "file_type_refused",
    ),
    "macros under another name": (
        docx(
            **{
                "[Content_Types].xml": content_types(
                    "</Types>",
                    '<Override PartName="/word/x.bin" '
                    'ContentType="application/vnd.ms-office.vbaProject"/></Types>',
                ),
                "word__x.bin": b"x",
            }
        ),
        "a.docx",
        "file_type_refused",
    ),
    "a template from elsewhere": (
        docx(
            **{
                "word___rels__settings.xml.rels": relationship(
                    "attachedTemplate", "https://example.org/t.dotm"
                )
            }
        ),
        "a.docx",
        "file_type_refused",
    ),
    "a picture on somebody's server": (
        docx(**{"word___rels__footer1.xml.rels": relationship("image", r"\\example.org\a\b.png")}),
        "a.docx",
        "file_type_refused",
    ),
    "relationships with entities": (
        docx(
            **{
                "word___rels__settings.xml.rels": b'<!DOCTYPE r [<!ENTITY a "aaaaaaaaaa">'
                b'<!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]><r>&b;</r>'
            }
        ),
        "a.docx",
        "file_type_refused",
    ),
    "a document that is a bomb": (bomb(), "a.docx", "file_too_complex"),
    "an archive that overlaps itself": (overlapping_archive(), "a.docx", "file_type_refused"),
    "a part that climbs out": (docx(**{"..__..__evil.txt": b"x"}), "a.docx", "file_type_refused"),
    "a DOC with macros": (doc_with_macros(), "a.doc", "file_type_refused"),
}

# What is what it says, and could do harm only to somebody who is served it in another way.
ACCEPTED: dict[str, tuple[bytes, str]] = {
    **{
        f"the sample {name}": (sample(name), name)
        for name in (
            "photo.jpg",
            "photo.png",
            "photo.gif",
            "photo.webp",
            "notes.pdf",
            "notes.doc",
            "notes.docx",
            "notes.txt",
        )
    },
    "a GIF that is a script": (gif_that_is_a_script_to_the_end(), "script.gif"),
    "a JPEG with a page in its comment": (jpeg_with_comment(PAGE), "comment.jpg"),
    "a JPEG with PHP behind it": (sample("photo.jpg") + PHP + PAGE, "tail.jpg"),
    "a PNG with a page in its text": (png(2, 2, (b"tEXt", b"Comment\0" + PAGE)), "text.png"),
    "a page called TXT": (PAGE, "page.txt"),
    "a script called TXT": (SCRIPT.encode(), "script.txt"),
    "an SVG called TXT": (
        f"<svg xmlns='http://www.w3.org/2000/svg' onload=\"{SCRIPT}\"/>".encode(),
        "image.txt",
    ),
    "a PDF that runs a script": (
        sample("notes.pdf").replace(
            b"%%EOF", b"/OpenAction<</S/JavaScript/JS(app.alert(1))>>%%EOF"
        ),
        "script.pdf",
    ),
    "a DOCX with a page as its comment": (
        docx()[:-2] + struct.pack("<H", len(PAGE)) + PAGE,
        "c.docx",
    ),
    "a DOCX with a link": (
        docx(
            **{"word___rels__footer1.xml.rels": relationship("hyperlink", "https://example.org/")}
        ),
        "link.docx",
    ),
    "a DOCX made from a template on its author's disk": (
        docx(
            **{
                "word___rels__settings.xml.rels": relationship(
                    "attachedTemplate", r"file:///C:\Users\a\Templates\letter.dotx"
                )
            }
        ),
        "template.docx",
    ),
}
