"""What two decoders that know nothing of each other refuse is refused here as well."""

from __future__ import annotations

import io
import os
import string
import zipfile
from collections.abc import Callable

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from PIL import Image

from presence.domain.files import checking
from presence.errors import PresenceError
from tests.support import needs
from tests.uploads.good_files import GOOD
from tests.uploads.makers import chunk, in_jpeg, pdf, picture, segment

# How many files of each kind; PRESENCE_TEST_ROUNDS makes it a campaign.
EXAMPLES = int(os.environ.get("PRESENCE_TEST_ROUNDS", "25"))
LARGEST = 200_000

Judge = Callable[[bytes], object]
SMALL = {
    what: item
    for what, item in GOOD.items()
    if len(item[0]) < LARGEST and not item[1].lower().rstrip(". ").endswith(".txt")
}


def by_pillow(content: bytes) -> object:
    with Image.open(io.BytesIO(content)) as opened:
        frame = 0
        while True:
            opened.load()
            frame += 1
            try:
                opened.seek(frame)
            except EOFError:
                return opened


def by_ffmpeg(content: bytes) -> object:
    av = needs.python_package("av")
    with av.open(io.BytesIO(content), options={"err_detect": "explode"}) as opened:
        return next(opened.decode(video=0))


def by_qpdf(content: bytes) -> object:
    pikepdf = needs.python_package("pikepdf")
    with pikepdf.open(io.BytesIO(content)) as opened:
        return opened.pages[0]


def by_pypdf(content: bytes) -> object:
    pypdf = needs.python_package("pypdf")
    return pypdf.PdfReader(io.BytesIO(content)).pages[0]


def by_python_docx(content: bytes) -> object:
    return needs.python_package("docx").Document(io.BytesIO(content))


def by_zipfile(content: bytes) -> object:
    with zipfile.ZipFile(io.BytesIO(content)) as opened:
        if opened.testzip():
            raise ValueError
    return opened


def by_olefile(content: bytes) -> object:
    olefile = needs.python_package("olefile")
    with olefile.OleFileIO(content, raise_defects=olefile.DEFECT_INCORRECT) as opened:
        for path in opened.listdir():
            opened.openstream(path).read()
    return opened


JUDGES: dict[str, tuple[Judge, ...]] = {
    "doc": (by_olefile,),
    "docx": (by_python_docx, by_zipfile),
    "pdf": (by_qpdf, by_pypdf),
}
PICTURE_JUDGES: tuple[Judge, ...] = (by_pillow, by_ffmpeg)


def is_sound(content: bytes, judge: Judge) -> bool:
    try:
        judge(content)
    except Exception:
        return False
    return True


def is_accepted(content: bytes, name: str) -> bool:
    try:
        checking.detect(io.BytesIO(content), name, max_pixels=200_000_000)
    except PresenceError:
        return False
    return True


def judges_of(name: str) -> tuple[Judge, ...]:
    return JUDGES.get(name.rpartition(".")[2], PICTURE_JUDGES)


@settings(max_examples=EXAMPLES * 4, deadline=None)
@given(st.sampled_from(sorted(SMALL)), st.floats(0, 1, exclude_max=True))
def test_a_file_that_is_cut_is_refused_where_its_decoders_refuse_it(what: str, part: float) -> None:
    content, name = SMALL[what]
    cut = content[: int(len(content) * part)]
    if not any(is_sound(cut, judge) for judge in judges_of(name)):
        assert not is_accepted(cut, name)


@settings(max_examples=EXAMPLES * 4, deadline=None)
@given(st.sampled_from(sorted(SMALL)), st.floats(0, 1), st.integers(1, 4096))
def test_a_file_with_zeros_in_it_is_refused_where_its_decoders_refuse_it(
    what: str, part: float, length: int
) -> None:
    content, name = SMALL[what]
    at = int(len(content) * part)
    zeroed = content[:at] + bytes(min(length, len(content) - at)) + content[at + length :]
    if not any(is_sound(zeroed, judge) for judge in judges_of(name)):
        assert not is_accepted(zeroed, name)


@settings(max_examples=EXAMPLES, deadline=None)
@given(st.lists(st.tuples(st.sampled_from([*range(0xE0, 0xF0), 0xFE]), st.binary(max_size=300))))
def test_a_jpeg_may_tell_anything_of_itself(segments: list[tuple[int, bytes]]) -> None:
    # An Exif segment that is none is a fault of its own, which Pillow does not look over.
    told = b"".join(segment(marker, b"x" + data) for marker, data in segments)
    assert is_accepted(in_jpeg(told), "a.jpg")


@settings(max_examples=EXAMPLES, deadline=None)
@given(st.lists(st.binary(max_size=300)), st.sampled_from([b"zzZz", b"prVt", b"tEXt"]))
def test_a_png_may_tell_anything_of_itself(texts: list[bytes], kind: bytes) -> None:
    # But for the end of an archive, which unpackers look for wherever it stands.
    assume(not any(b"PK\x05\x06" in text for text in texts))
    whole = picture("PNG")
    told = b"".join(chunk(kind, b"Comment\0" + text) for text in texts)
    assert is_accepted(whole[:33] + told + whole[33:], "a.png")


LINES = st.lists(
    st.text(string.ascii_letters + " @:%()[]=;.-", min_size=1, max_size=60), max_size=9
)


@settings(max_examples=EXAMPLES, deadline=None)
@given(LINES, st.sampled_from(["<p>", "<?php", "{", "$(x)", "`x`", "\0\1", "a|b", "\x80"]))
def test_a_pdf_may_have_lines_of_text_before_it_but_nothing_that_runs(
    lines: list[str], hostile: str
) -> None:
    before = "".join(f"{line}\n" for line in lines if not line.startswith("%!"))
    assert is_accepted(pdf(before=before.encode()), "a.pdf")
    assert not is_accepted(pdf(before=f"{before}{hostile}\n".encode("latin-1")), "a.pdf")


@pytest.mark.parametrize("what", sorted(SMALL))
def test_nine_tenths_of_a_file_are_not_accepted(what: str) -> None:
    content, name = SMALL[what]
    if "film" in what or "two pictures" in what or "zeros" in what or "saved twice" in what:
        return  # what is cut off is not what the file is
    if name.endswith(".gif") and len(content) < 60:
        return
    cut = content[: len(content) * 9 // 10]
    if any(is_sound(cut, judge) for judge in judges_of(name)) and name.endswith((".jpg", ".gif")):
        return  # so little that a decoder shows all of it
    assert not is_accepted(cut, name)
