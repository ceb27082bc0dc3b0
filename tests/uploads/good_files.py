"""Files that real programs write and that must be accepted, with the names they come under."""

from __future__ import annotations

import zlib

from tests.uploads.makers import (
    CLIP_ART,
    EQUATION,
    PICTURE,
    apple_single,
    archive,
    chunk,
    doc,
    docx,
    field,
    in_jpeg,
    large_jpeg,
    mac_binary,
    ole_object,
    paragraph,
    pdf,
    picture,
    png,
    png_header,
    sample,
    segment,
    story,
)


def _template(target: str) -> bytes:
    return docx(outside=[("attachedTemplate", target)])


_GIF, _PNG, _JPEG, _WEBP = (picture(kind) for kind in ("GIF", "PNG", "JPEG", "WEBP"))
_DDE_IN_PROSE = story(
    paragraph("<w:t>DDE and DDEAUTO were ways to share data.</w:t>"),
    paragraph(field(" INCLUDEPICTURE ", '"C:\\a.png" \\d')),
    paragraph(field(' HYPERLINK "https://example.org/DDE" ')),
    paragraph(field(" REF ddeutsch \\h ")),
)

GOOD: dict[str, tuple[bytes, str]] = {
    "Word for the web": (docx(main="word/document2.xml"), "a.docx"),
    "a main part of another name": (docx(main="story/all of it.xml"), "a.docx"),
    **{
        f"a template at {target}": (_template(target), "a.docx")
        for target in (
            "Normal.dotm",
            "../Templates/Normal.dotm",
            "Macintosh HD:Users:ada:letter.dotm",
            "Data:letter.dotm",
            "/Users/ada/letter.dotm",
            "file:///Users/ada/Library/letter.dotm",
            "file://localhost/Users/ada/letter.dotm",
            "file:///C:\\Users\\ada\\letter.dotx",
            "file:///C:/Users/a%20b/letter.dotx",
        )
    },
    "a picture on its author's disk": (docx(outside=[("image", "file:///C:/a.png")]), "a.docx"),
    "a link": (docx(outside=[("hyperlink", "https://example.org/")]), "a.docx"),
    "words and fields that are no DDE": (docx(_DDE_IN_PROSE), "a.docx"),
    "an equation in a DOCX": (
        docx(
            more={"word/embeddings/oleObject1.bin": ole_object(EQUATION, b"\x1c\0\0\0\2\0\1\1\0\n")}
        ),
        "a.docx",
    ),
    "the table behind a chart": (
        docx(more={"word/embeddings/table.xlsx": archive({"[Content_Types].xml": b"<x/>"})}),
        "a.docx",
    ),
    "a DOCX in UTF-16": (
        docx(story().decode().replace("UTF-8", "UTF-16").encode("utf-16")),
        "a.docx",
    ),
    "equations, clip art and drawings": (
        doc(
            [
                (EQUATION, b"\x1c\0\0\0\2\0\1\1\0\n"),
                (CLIP_ART, b"\xe0X\0\0\x08\0U"),
                (PICTURE, b"BM6"),
            ]
        ),
        "a.doc",
    ),
    "a DOC": (doc(), "a.doc"),
    "stray bytes between segments": (in_jpeg(b"\0\x0b\0"), "a.jpg"),
    "fill bytes between segments": (in_jpeg(b"\xff" * 40), "a.jpg"),
    "an APPn that says it is shorter": (in_jpeg(segment(0xED, b"Photoshop\0\0", 9)), "a.jpg"),
    "an APPn and a comment": (
        in_jpeg(segment(0xE1, b"x" * 60_000) + segment(0xFE, b"hi")),
        "a.jpg",
    ),
    "a film behind a picture": (_JPEG + b"\0\0\0\x18ftypmp42" + b"x" * 999, "a.jpg"),
    "two pictures in a file": (_JPEG + _JPEG, "a.jpg"),
    "a progressive picture": (picture("JPEG", progressive=True), "a.jpg"),
    "108 megapixels": (large_jpeg(12_000, 9_000), "a.jpg"),
    **{
        f"a JPEG called {name}": (_JPEG, name)
        for name in ("a.jfif", "a.jpe", "a.pjpeg", "a.JPG ", "a.jpg.", "a.Jpeg . ")
    },
    "a PDF": (pdf(), "a.pdf"),
    "a PDF behind a BOM": (pdf(before=b"\xef\xbb\xbf"), "a.pdf"),
    "a PDF behind white space": (pdf(before=b"\r\n  \n"), "a.pdf"),
    "a PDF with zeros behind it": (pdf() + b"\0" * 3000, "a.pdf"),
    **{
        f"a PDF behind {what}": (pdf(before=before), "a.pdf")
        for what, before in (
            ("a program's greeting", b"GPL Ghostscript 10.02.0 (2023-09-13)\nPage 1\n"),
            ("a printer's ticket", b"%%TICKET: A4\r\n%%PAGES: 1\r\n" * 20),
            ("a printer's job", b"\x1b%-12345X@PJL SET COPIES=2\r\n@PJL ENTER LANGUAGE=PDF\r\n"),
            ("the headers of an answer", b"Content-Type: application/pdf; x=y\r\n\r\n"),
            ("AppleSingle", apple_single()),
            ("MacBinary", mac_binary()),
        )
    },
    **{
        f"a PDF with {what} behind it": (pdf() + behind, "a.pdf")
        for what, behind in (
            ("the end mark of DOS", b"\x1a"),
            ("memory that nothing was written to", b"\xff" * 9),
            ("the end of a printer's job", b"\x1b%-12345X@PJL EOJ\r\n\x1b%-12345X"),
        )
    },
    "a PDF whose header is not spelled so": (pdf().replace(b"%PDF-1.4", b"%PDF 1.4"), "a.pdf"),
    "a PDF saved twice": (pdf() + pdf(), "a.pdf"),
    "a PDF whose table is wrong": (pdf().replace(b"startxref\n", b"startxref\n9"), "a.pdf"),
    "a GIF without its trailer": (_GIF[:-1], "a.gif"),
    "an animation": (picture("GIF", frames=3), "a.gif"),
    "an animated PNG": (picture("PNG", frames=3), "a.png"),
    "an animated WebP": (picture("WEBP", frames=3), "a.webp"),
    "a WebP without loss": (picture("WEBP", lossless=True), "a.webp"),
    **{
        f"{kind} and {what} behind it": (content + fill, f"a.{kind}")
        for kind, content in (("png", _PNG), ("gif", _GIF), ("webp", _WEBP))
        for what, fill in (("a newline", b"\r\n"), ("zeros", b"\0" * 5000))
    },
    "a DOCX and zeros behind it": (docx() + b"\0" * 100, "a.docx"),
    "a DOC and zeros behind it": (doc() + b"\0" * 100, "a.doc"),
    "text, time and place in a PNG": (
        png(
            _PNG[8:33],
            chunk(b"tEXt", b"Comment\0" + b"x" * 9999),
            chunk(b"eXIf", b"II*\0\x08\0\0\0\0\0"),
            _PNG[33:],
        ),
        "a.png",
    ),
    "a large flat PNG": (
        png(
            chunk(b"IHDR", png_header(3000, 3000)),
            chunk(b"IDAT", zlib.compress(b"\0" * 3001 * 3000)),
            chunk(b"IEND", b""),
        ),
        "a.png",
    ),
    "text in UTF-8": ("häßlich 日本 🎉\r\n".encode(), "a.txt"),
    "text in UTF-8 with a BOM": ("häßlich".encode("utf-8-sig"), "a.txt"),
    "text in UTF-16": ("häßlich 日本 🎉".encode("utf-16"), "a.txt"),
    "text in UTF-16, the other way round": (b"\xfe\xff" + "日本".encode("utf-16-be"), "a.txt"),
    "text that looks like a page": (b"<html><script>1</script>", "a.TXT"),
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
}
