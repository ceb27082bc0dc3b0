"""A place where bytes of a client come in, and what packs an input for it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from pydantic import BaseModel

from presence.transport.describing import schemas
from tests.abuse.bad_inputs import Text, json_text

# What an event's acknowledgement is asked for by.
ACK = "7"
# What a message may have, by the settings.
MOST = 1_000_000
# What a line of a request or a header may have at the most, and somewhat more.
MOST_OF_A_LINE = 16_384


@dataclass(frozen=True)
class Entrance:
    """A place where bytes come in, by ``http``, or over a ``socket`` that has joined.

    `pack` makes what is sent of an input. What is `answered` has an answer of its own; of what is
    not, it is enough that the connection works afterwards, or is closed. What `takes_turns` may
    cost more in all than one turn of the loop may take.
    """

    name: str
    way: str
    pack: Callable[[str], bytes]
    families: Mapping[str, Text]
    most: int = MOST
    answered: bool = True
    takes_turns: bool = False


def example_of(model: type[BaseModel]) -> dict[str, Any]:
    """Return a message that follows a model."""
    components = schemas.of_models([model])
    return dict(schemas.example_of(components[model.__name__], components))


def with_field(example: Mapping[str, Any], key: str, value: str) -> str:
    """Return an object as JSON in which a key has a value that need not be JSON."""
    others = [f"{json.dumps(name)}:{json.dumps(it)}" for name, it in example.items() if name != key]
    return "{" + ",".join([*others, f"{json_text(key)}:{value}"]) + "}"


def as_bytes(text: str) -> bytes:
    """Return a text as UTF-8, halves of pairs included."""
    return text.encode("utf-8", "surrogatepass")


def escaped(text: str) -> str:
    """Return a text as it stands in an address."""
    return quote(text, safe="", errors="surrogatepass")


def in_line(text: str) -> str:
    """Return a text in which only what would end the line is escaped."""
    return re.sub(r"[\x00-\x20\x7f-\U0010ffff]", lambda found: escaped(found[0]), text)


def in_one_line(text: str) -> str:
    """Return a text without ends of lines."""
    return text.replace("\r", "").replace("\n", "")
