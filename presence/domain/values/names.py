"""What room names, peer ids and usernames may be."""

from __future__ import annotations

import unicodedata

from presence.errors import InvalidField

# Characters that reorder the text around them (Unicode Standard Annex 9, explicit formatting):
# with them one name can be made to look like another.
_BIDIRECTIONAL = {*range(0x202A, 0x202F), *range(0x2066, 0x206A)}
# Control characters, halves of surrogate pairs, and Unicode's own line and paragraph separators.
_REFUSED_CATEGORIES = {"Cc", "Cs", "Zl", "Zp"}
# Spaces and formatting characters, and the letters of Hangul that stand for no letter.
_INVISIBLE = {"Zs", "Cf", "Mn", "Me"}
_FILLERS = {0x115F, 0x1160, 0x3164, 0xFFA0}


# How many characters at most become one by normalisation (Unicode Standard Annex 15, NFC).
MOST_COMPOSED = 4


def normalise(value: object, field: str, max_length: int) -> str:
    r"""Return a name in Unicode normalisation form NFC; raises `InvalidField` naming `field`.

    Any script and spaces are fine. Not allowed: control and bidirectional formatting characters,
    ``/`` and ``\``, the names ``.`` and ``..``, only spaces, and more than `max_length`
    characters.
    """
    if not isinstance(value, str):
        raise InvalidField(field, "must be a string.")
    if len(value) > max_length * MOST_COMPOSED:
        # Before it is normalised, which takes the square of a run of combining characters.
        raise InvalidField(field, f"must have at most {max_length} characters.")
    name = unicodedata.normalize("NFC", value)
    if not any(map(_is_visible, name)):
        raise InvalidField(field, "must have a character that can be seen.")
    if len(name) > max_length:
        raise InvalidField(field, f"must have at most {max_length} characters; it has {len(name)}.")
    if name in {".", ".."}:
        raise InvalidField(field, "must not be “.” or “..”.")
    for character in name:
        if character in "/\\":
            raise InvalidField(field, f"must not contain “{character}”.")
        if not _is_acceptable(character):
            raise InvalidField(
                field,
                f"must not contain the control or text-direction character U+{ord(character):04X}.",
            )
    return name


def forbidden_in(text: str) -> bool:
    """Tell whether a text has a character that no name may contain."""
    return any(character in "/\\" or not _is_acceptable(character) for character in text)


def without_control_characters(text: str) -> str:
    """Return `text` in NFC without the characters that no name may contain."""
    return "".join(filter(_is_acceptable, unicodedata.normalize("NFC", text)))


def _is_visible(character: str) -> bool:
    return ord(character) not in _FILLERS and unicodedata.category(character) not in _INVISIBLE


def _is_acceptable(character: str) -> bool:
    return (
        ord(character) not in _BIDIRECTIONAL
        and unicodedata.category(character) not in _REFUSED_CATEGORIES
    )
