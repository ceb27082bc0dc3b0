"""What real programs write is accepted, and each refusal says what a file is and what to do."""

from __future__ import annotations

import io
import re

import pytest

from presence.domain.files import checking, file_types
from presence.errors import PresenceError
from tests.uploads.bad_files import BAD
from tests.uploads.good_files import GOOD

MAX_PIXELS = 200_000_000


@pytest.mark.parametrize("what", GOOD)
def test_what_real_programs_write_is_accepted(what: str) -> None:
    content, name = GOOD[what]
    kind = checking.detect(io.BytesIO(content), name, max_pixels=MAX_PIXELS)
    assert kind is file_types.by_extension(file_types.extension_of(name))


@pytest.mark.parametrize("what", BAD)
def test_what_is_refused_is_called_what_it_is(what: str) -> None:
    content, name, code, words = BAD[what]
    with pytest.raises(PresenceError) as refused:
        checking.detect(io.BytesIO(content), name, max_pixels=MAX_PIXELS)
    assert refused.value.code == code, refused.value.detail
    assert re.search(words, refused.value.detail), refused.value.detail
    assert re.search(r"\b([Ss]end|[Ss]ave|[Nn]ame|Print|Programs)\b", refused.value.detail)
    assert refused.value.detail.endswith(".")


def test_sizes_are_told_as_people_say_them() -> None:
    content, name = GOOD["108 megapixels"]
    with pytest.raises(PresenceError, match=r"12000 × 9000 pixels, 108 megapixels; at most 100 ar"):
        checking.detect(io.BytesIO(content), name, max_pixels=100_000_000)
