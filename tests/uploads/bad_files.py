"""Files that must be refused: their names, the code, and words of the sentence that says why."""

from __future__ import annotations

import struct

from tests.uploads.makers import (
    EQUATION,
    MAIN_TYPE,
    PACKAGE,
    apple_single,
    archive,
    chunk,
    compound,
    doc,
    docx,
    field,
    mac_binary,
    ole_object,
    package,
    paragraph,
    pdf,
    picture,
    png,
    png_header,
    program,
    sample,
    story,
)

TYPE, COMPLEX = "file_type_refused", "file_too_complex"
_GIF, _PNG, _JPEG, _WEBP = (picture(kind) for kind in ("GIF", "PNG", "JPEG", "WEBP"))
_WHOLE = {
    "jpg": _JPEG,
    "png": _PNG,
    "gif": _GIF,
    "webp": _WEBP,
    "pdf": pdf(),
    "doc": doc(),
    "docx": docx(),
}
_CALLED = {
    "jpg": "a JPEG picture",
    "png": "a PNG picture",
    "gif": "a GIF picture",
    "webp": "a WebP picture",
    "pdf": "a PDF document",
    "doc": "a Word 97–2003 document",
    "docx": "a Word document",
}
_DDE = "DDEAUTO c:\\\\windows\\\\system32\\\\cmd.exe"
_QUOTE = "QUOTE " + " ".join(str(ord(letter)) for letter in "DDEAUTO")
_PNG_WRONG = chunk(b"IHDR", png_header(12, 8), crc=1)


def _starts(*paragraphs: str) -> bytes:
    return docx(story(*map(paragraph, paragraphs)))


def _fetches(kind: str, target: str) -> bytes:
    return docx(outside=[(kind, target)])


def _with_part(name: str, content: bytes) -> bytes:
    return docx(more={name: content})


def _rels(number: int) -> bytes:
    one = '<Relationship Id="r{}" Type="x/hyperlink" Target="a" TargetMode="External"/>'
    made = "".join(one.format(n) for n in range(number))
    return f'<Relationships xmlns="x">{made}</Relationships>'.encode()


BAD: dict[str, tuple[bytes, str, str, str]] = {
    **{
        f"{kind} from {target}": (_fetches(kind, target), "a.docx", TYPE, f"“{shown}”.*{word}")
        for kind, target, shown, word in (
            (
                "attachedTemplate",
                "https://example.org/t.dotm",
                "https://example.org/t.dotm",
                "template",
            ),
            (
                "attachedTemplate",
                "file://server/share/t.dotm",
                "file://server/share/t.dotm",
                "template",
            ),
            (
                "attachedTemplate",
                "\\\\server\\share\\t.dotm",
                r"\\\\server\\share\\t.dotm",
                "template",
            ),
            (
                "attachedTemplate",
                "file:///\\\\server\\t.dotm",
                r"file:///\\\\server\\t.dotm",
                "template",
            ),
            ("image", "http://example.org/pixel.gif", "http://example.org/pixel.gif", "picture"),
            ("oleObject", "mhtml:http://example.org/x!y", "mhtml:http://example.org/x!y", "object"),
            ("frame", "//example.org/x", "//example.org/x", "frame"),
            ("subDocument", "ftp://example.org/x.docx", "ftp://example.org/x.docx", "part"),
        )
    },
    "a package in a DOC": (
        doc([(PACKAGE, package("a.txt", b"x"))]),
        "a.doc",
        TYPE,
        "package.* Remove",
    ),
    "a program under another class": (
        doc([(EQUATION, package("calc.exe", program()))]),
        "a.doc",
        TYPE,
        "program.* Remove",
    ),
    "a program as a stream": (doc([(EQUATION, program())]), "a.doc", TYPE, "program.* Remove"),
    "macros in a DOC": (
        compound({"WordDocument": b"\xec\xa5", "Macros/VBA/dir": b"x"}),
        "a.doc",
        TYPE,
        "macros.* Save",
    ),
    "DDE in a DOC": (
        doc(text=b"\x13 " + _DDE.encode() + b"\x14x\x15"),
        "a.doc",
        TYPE,
        "field.* Remove",
    ),
    "DDE in a DOC of two bytes a letter": (
        doc(text=f"\x13{_DDE}\x14x\x15".encode("utf-16-le")),
        "a.doc",
        TYPE,
        "field.* Remove",
    ),
    "a program in a DOCX": (
        _with_part(
            "word/embeddings/oleObject1.bin", ole_object(PACKAGE, package("a.exe", program()))
        ),
        "a.docx",
        TYPE,
        "program.* Remove",
    ),
    "a program as a part": (
        _with_part("word/media/image1.png", program()),
        "a.docx",
        TYPE,
        "program",
    ),
    "a program in a table in a DOCX": (
        _with_part(
            "word/embeddings/table.xlsx",
            archive({"xl/embeddings/o.bin": ole_object(PACKAGE, package("a", b"x"))}),
        ),
        "a.docx",
        TYPE,
        "program.* Remove",
    ),
    "DDE": (_starts(field(_DDE)), "a.docx", TYPE, "field.* Remove"),
    "DDE in pieces": (_starts(field(" D", "DE", 'AUTO "x" "y"')), "a.docx", TYPE, "field.* Remove"),
    "DDE in small letters": (_starts(field(' "dde" x y')), "a.docx", TYPE, "field.* Remove"),
    "DDE made of numbers": (
        _starts(field(field(_QUOTE), " cmd")),
        "a.docx",
        TYPE,
        "field.* Remove",
    ),
    "DDE in another field": (_starts(field(" IF 1 = 1 ", field(_DDE))), "a.docx", TYPE, "field"),
    "DDE without an end": (
        _starts(field(_DDE).split("</w:r>")[0] + f"<w:instrText>{_DDE}</w:instrText>"),
        "a.docx",
        TYPE,
        "field",
    ),
    "DDE in an attribute": (_starts(f'<w:fldSimple w:instr=" {_DDE}"/>'), "a.docx", TYPE, "field"),
    "DDE in a header": (
        docx(more={"word/header1.xml": story(paragraph(field(_DDE)))}),
        "a.docx",
        TYPE,
        "field.* Remove",
    ),
    "DDE in UTF-16": (
        docx(story(paragraph(field(_DDE))).decode().replace("UTF-8", "UTF-16").encode("utf-16")),
        "a.docx",
        TYPE,
        "field.* Remove",
    ),
    "a document of macros": (
        docx(main_type="application/vnd.ms-word.document.macroEnabled.main+xml"),
        "a.docx",
        TYPE,
        "macros.* Save",
    ),
    "a template": (
        docx(main_type=MAIN_TYPE.replace("document.main", "template.main")),
        "a.docx",
        TYPE,
        "template. Save",
    ),
    "no main part": (docx(main_type="application/xml"), "a.docx", TYPE, "archive.* Send"),
    **{
        # Each as long as what it stands for, so that nothing else in the file needs repair.
        f"a PDF whose only page is {kid.decode()!r}": (
            pdf().replace(b"[3 0 R]", b"[%b]" % kid),
            "a.pdf",
            TYPE,
            "damaged.* Save",
        )
        for kid in (
            b"\\0 0 R",
            b"9 0 R",
            b"4 0 R",
            b"2 0 R",
            b"null ",
            b"(abc)",
            b"12345",
            b"     ",
        )
    },
    "half a DOC": (doc()[: len(doc()) // 2], "a.doc", TYPE, "damaged.* Save"),
    "nine tenths of a DOC": (
        sample("notes.doc")[: len(sample("notes.doc")) * 9 // 10],
        "a.doc",
        TYPE,
        "damaged.* Save",
    ),
    "a stream shorter than it says": (doc(sizes={"1Table": 9000}), "a.doc", TYPE, "damaged.* Save"),
    "a PNG without pixels": (png(_PNG[8:33], chunk(b"IEND", b"")), "a.png", TYPE, "damaged.* Save"),
    "a PNG whose header has a wrong sum": (png(_PNG_WRONG, _PNG[33:]), "a.png", TYPE, "damaged"),
    "a PNG with another size": (
        png(chunk(b"IHDR", png_header(900, 800)), _PNG[33:]),
        "a.png",
        TYPE,
        "damaged.* Save",
    ),
    "a PNG whose pixels have a wrong sum": (
        _PNG[:50] + b"\1" + _PNG[51:],
        "a.png",
        TYPE,
        "damaged",
    ),
    **{
        f"a PDF behind {what}": (pdf(before=before), "a.pdf", TYPE, "Send|Save|Print|Programs")
        for what, before in (
            ("a page", b"<!doctype html><script>1</script>\n"),
            ("a page in lines of text", b"hello\n<script>1</script>\n"),
            ("PHP", b"<?php 1 ?>\n"),
            ("a script", b"#!/bin/sh\n"),
            ("a program of braces", b"for (;;) { alert(1) }\n"),
            ("PostScript", b"%!PS-Adobe-3.0\n"),
            ("a program", program()),
            ("an archive", archive({"a": b"x"})),
            ("the first bytes of a GIF", b"GIF89a/*\n"),
            ("noise", b"\1\2\3\x80\n"),
            ("half a line", b"hello "),
            ("more than readers look at", b"hello\n" * 200),
            ("AppleSingle whose content is elsewhere", apple_single(content_at=40)),
            ("MacBinary of something else", mac_binary(b"APPL")),
        )
    },
    "a PDF with a page behind its printer's job": (
        pdf() + b"\x1b%-12345X@PJL EOJ\r\n<script>1</script>\r\n",
        "a.pdf",
        TYPE,
        "behind.* Save",
    ),
    **{
        f"{kind} with something behind it": (
            content + b"<?php 1 ?>",
            f"a.{kind}",
            TYPE,
            "behind.* Save",
        )
        for kind, content in _WHOLE.items()
        if kind != "jpg"
    },
    **{
        f"{kind} with an archive behind it": (
            content + archive({"a": b"x"}),
            f"a.{kind}",
            TYPE,
            "Send|Save",
        )
        for kind, content in _WHOLE.items()
    },
    **{
        f"{kind} called .{other}": (
            content,
            f"a.{other}",
            TYPE,
            f"This is {_CALLED[kind]}: name it .{kind},",
        )
        for kind, content in _WHOLE.items()
        for other in [*_WHOLE, "bmp", "txt"]
        if other != kind
    },
    **{
        f"{kind} without an extension": (content, "photo", TYPE, f"no extension.*name it .{kind},")
        for kind, content in _WHOLE.items()
    },
    "text without an extension": (b"hello", "README", TYPE, "no extension.*name it .txt,"),
    "a password": (compound({"EncryptedPackage": b"x"}), "a.docx", TYPE, "password.* without"),
    "RTF called DOC": (b"{\\rtf1\\ansi hello}", "a.doc", TYPE, "RTF.* Save it as DOCX"),
    "an Excel workbook called DOC": (compound({"Workbook": b"x"}), "a.doc", TYPE, "Excel.* Save"),
    "an OpenDocument file": (sample("notes.odt"), "a.docx", TYPE, "OpenDocument.* Save it as DOCX"),
    "HEIC": (
        b"\0\0\0\x18ftypheic" + b"\0" * 99,
        "IMG_1.HEIC",
        TYPE,
        "HEIC.*iPhone.*JPEG|JPEG.*iPhone",
    ),
    "HEIC called JPEG": (b"\0\0\0\x18ftypheic" + b"\0" * 99, "IMG_1.jpg", TYPE, "HEIC.*iPhone"),
    **{
        f"{name}, called {called}": (head + b"\0" * 99, name, TYPE, f"{called}.*{instead}")
        for called, head, name, instead in (
            ("AVIF", b"\0\0\0\x20ftypavif", "a.avif", "JPEG or PNG"),
            ("JPEG XL", b"\xff\x0a", "a.jxl", "JPEG or PNG"),
            ("JPEG 2000", b"\0\0\0\x0cjP  ", "a.jp2", "JPEG or PNG"),
            ("TIFF", b"II*\0", "a.tif", "JPEG or PNG"),
            ("Photoshop", b"8BPS", "a.psd", "JPEG or PNG"),
            ("BMP", b"BM\1\2\3\4\0\0\0\0", "a.bmp", "JPEG or PNG"),
            ("an icon", b"\0\0\1\0", "a.ico", "JPEG or PNG"),
            ("PostScript", b"%!PS-Adobe-3.0", "a.ps", "PDF"),
            ("an archive", b"Rar!", "a.rar", "one by one"),
            ("an archive", b"\x1f\x8b", "a.tgz", "one by one"),
            ("a script", b"#!/bin/sh", "a.sh", "TXT"),
            ("a film or a sound", b"RIFF\1\2\3\4WAVE", "a.wav", "link"),
            ("a program", b"\x7fELF", "a.out", "Programs are not accepted"),
        )
    },
    "a presentation": (
        compound({"PowerPoint Document": b"x"}),
        "a.ppt",
        TYPE,
        "PowerPoint.* Save it as PDF",
    ),
    **{
        f"Office's {called} called DOCX": (
            docx(main_type=f"application/{kind}+xml"),
            "a.docx",
            TYPE,
            words,
        )
        for called, kind, words in (
            ("workbook", "x.spreadsheetml.main", "Excel.* Save it as PDF"),
            ("slides", "x.presentationml.main", "PowerPoint.* Save it as PDF"),
        )
    },
    "a film": (b"\0\0\0\x18ftypmp42" + b"\0" * 99, "a.mp4", TYPE, "film.* Send"),
    "an SVG": (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "a.svg", TYPE, "SVG.* JPEG or PNG"),
    "a page": (b"<!DOCTYPE html><p>x", "a.html", TYPE, "web page.* PDF"),
    "a program": (program(), "a.exe", TYPE, "a program"),
    "a program called PDF": (program(), "a.pdf", TYPE, "a program"),
    "an archive": (archive({"a": b"x"}), "a.zip", TYPE, "archive.* one by one"),
    "text in an 8-bit encoding": (
        "häßlich".encode("latin-1"),
        "a.txt",
        TYPE,
        "UTF-8.* Save it as UTF-8",
    ),
    "half a character in UTF-16": (b"\xff\xfea", "a.txt", TYPE, "UTF-8"),
    "nothing": (b"", "a.txt", TYPE, "empty. Send"),
    "noise": (bytes(range(256)), "a.jpg", TYPE, "not a JPEG picture.* Save"),
    "an extension nobody knows": (b"\1\2\0", "a.xyz", TYPE, "“.xyz” files are not accepted. Send"),
    "a long extension": (b"\1\2\0", "a." + "x" * 900, TYPE, "“.x{15}…” files"),
    "fill bytes without end": (b"\xff\xd8" + b"\xff" * 2_000_000, "a.jpg", COMPLEX, "parts"),
    "stray bytes without end": (b"\xff\xd8\xff" + b"\0" * 2_000_000, "a.jpg", COMPLEX, "parts"),
    "countless frames": (
        _GIF[:-1] + (b"\x2c" + struct.pack("<4HB", 0, 0, 1, 1, 0) + b"\2\1\0\0") * 90_000,
        "a.gif",
        COMPLEX,
        "parts",
    ),
    "countless elements": (
        docx(more={"word/x.xml": b"<a>" + b"<b/>" * 5_000_001 + b"</a>"}),
        "a.docx",
        COMPLEX,
        "elements",
    ),
    "countless relations": (
        docx(more={"word/_rels/x.xml.rels": _rels(50_001)}),
        "a.docx",
        COMPLEX,
        "relations",
    ),
    "countless parts": (
        docx(more={f"word/{n}.txt": b"" for n in range(10_000)}),
        "a.docx",
        COMPLEX,
        "directory entries",
    ),
    "documents in documents": (
        docx(more={"a.zip": archive({"b": archive({"c": archive({"d": archive({"e": b"x"})})})})}),
        "a.docx",
        COMPLEX,
        "within one another",
    ),
    "entities": (
        docx(b'<!DOCTYPE x [<!ENTITY a "aaaa">]><x>&a;</x>'),
        "a.docx",
        TYPE,
        "damaged.* Save",
    ),
}
