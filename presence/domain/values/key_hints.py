"""Which keys of a message are none, but resemble one: ``userData`` where ``user_data`` is meant.

Keys that the server does not know are ignored, since applications may send what they like. One that
was meant for one of its own would be missed without a word.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from itertools import islice

# What is looked at of a message with a great many keys, and told of it.
_MOST_KEYS = 16
_MOST_HINTS = 5
_LONGEST = 32


def hints(sent: Collection[object], known: Collection[str]) -> list[str]:
    """Return a sentence for each key that is not known and resembles one that is."""
    missing = [name for name in known if name not in sent]
    found: list[str] = []
    for key in islice((key for key in sent if key not in known), _MOST_KEYS):
        if not isinstance(key, str) or len(key) > _LONGEST or len(found) == _MOST_HINTS:
            continue
        meant = _meant(key, known, missing)
        if meant is not None and key.isprintable():
            found.append(f"“{key}” is no key of this message and was ignored. Is “{meant}” meant?")
    return found


def _meant(key: str, known: Collection[str], missing: Collection[str]) -> str | None:
    """Return the known key that an unknown one stands for, or None.

    One that is written in another way does so in any case; one that is mistyped, or has a word more
    or less, only if the known key is missing, for else it is the application's own.
    """
    plain = _plain(key)
    for name in known:
        if plain == _plain(name):
            return name
    for name in missing:
        if _distance_is_small(plain, _plain(name)):
            return name
    words, stem = set(_words(key)), _stem(plain)
    for name in missing:
        of_name = _words(name)
        # Its last word says what it is: ``data`` may be ``user_data``, and no ``data_notices``.
        is_part = of_name and of_name[-1] in words and words < set(of_name)
        has_more = of_name and words > set(of_name)
        if is_part or has_more or (len(stem) > 2 and stem == _stem(_plain(name))):
            return name
    return None


def _plain(key: str) -> str:
    return re.sub(r"[\W_]", "", key.casefold())


def _stem(plain: str) -> str:
    """Return what a key is about, without what it tells of it: ``file`` of ``filename``."""
    return re.sub("(names?|ids?|data|s)$", "", plain)


def _words(key: str) -> list[str]:
    """Return the words of a key: those of ``userData`` are ``user`` and ``data``."""
    apart = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", key).lower()
    return [word for word in re.split(r"[\W_]+", apart) if len(word) > 2]


def _distance_is_small(one: str, other: str) -> bool:
    """Tell whether two words are a slip of the finger apart: two, if they are long.

    A slip is a letter too many, too few, another one, or two of them swapped. Short words are too
    easily another word.
    """
    length = min(len(one), len(other))
    if length < 4 or abs(len(one) - len(other)) > 2:
        return False
    return _distance(one, other) <= (1 if length < 7 else 2)


def _distance(one: str, other: str) -> int:
    """Return the optimal string alignment distance of two words (Damerau, 1964)."""
    before: list[int] = []
    row = list(range(len(other) + 1))
    for i, a in enumerate(one, 1):
        above, before = before, row
        row = [i]
        for j, b in enumerate(other, 1):
            best = min(before[j] + 1, row[-1] + 1, before[j - 1] + (a != b))
            if i > 1 and j > 1 and a == other[j - 2] and one[i - 2] == b:
                best = min(best, above[j - 2] + 1)
            row.append(best)
    return row[-1]
