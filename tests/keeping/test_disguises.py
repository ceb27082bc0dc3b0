"""Files that are not what they seem are refused, or accepted and harmless."""

from __future__ import annotations

import io

import pytest

from presence.domain.files import checking, file_types
from presence.errors import FileTooComplex, FileTypeRefused, ImageTooLarge
from tests.keeping.disguises import ACCEPTED, REFUSED

MAX_PIXELS = 100_000_000


@pytest.mark.parametrize("what", REFUSED)
def test_what_is_not_what_it_says_is_refused(what: str) -> None:
    content, name, code = REFUSED[what]
    with pytest.raises((FileTypeRefused, FileTooComplex, ImageTooLarge)) as refused:
        checking.detect(io.BytesIO(content), name, max_pixels=MAX_PIXELS)
    assert refused.value.code == code


@pytest.mark.parametrize("what", ACCEPTED)
def test_what_is_what_it_says_is_accepted(what: str) -> None:
    content, name = ACCEPTED[what]
    kind = checking.detect(io.BytesIO(content), name, max_pixels=MAX_PIXELS)
    assert name.endswith(kind.extension)


@pytest.mark.parametrize(
    ("what", "word"),
    [
        ("a DOCM called DOCX", "macros"),
        ("a DOC with macros", "macros"),
        ("a template from elsewhere", "fetches"),
        ("a document that is a bomb", "complex"),
        ("an archive behind a PDF", "archive"),
        ("PHP behind a PNG", "behind"),
    ],
)
def test_a_refusal_says_why_and_what_to_do(what: str, word: str) -> None:
    content, name, _ = REFUSED[what]
    with pytest.raises(
        (FileTypeRefused, FileTooComplex), match=rf"{word}.* (save|send|Save|Send) "
    ):
        checking.detect(io.BytesIO(content), name)


def test_any_number_of_pixels_is_accepted_where_there_is_no_limit() -> None:
    content, name, _ = REFUSED["a huge JPEG"]
    assert checking.detect(io.BytesIO(content), name) is file_types.JPEG
