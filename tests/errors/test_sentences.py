"""What is wrong with a field is said in a sentence about it, not in the words of a library."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any

import pytest

from presence.errors import InvalidField, PresenceError
from presence.transport.rest import batch
from presence.transport.wire import backend_messages, messages
from presence.transport.wire.messages import Incoming

MODELS = [
    model
    for module in (messages, backend_messages, batch)
    for _name, model in inspect.getmembers(module, inspect.isclass)
    if issubclass(model, Incoming) and model is not Incoming and model.__module__ == module.__name__
]
WRONG: list[Any] = [
    *(None, True, 1, -1, 0, 1.5, float("nan"), float("inf"), 2**63, 10**400),
    *("", "x", "x" * 5000, "\ud800", "\x00", "9" * 30, [], [1], [None], [[]], [{}]),
    *(["x"] * 2000, {}, {"a": "\ud800"}, b"binary"),
]
WORDS = ("should", "input", "validation", "dictionary", "instance", "raw data")


def sentences(model: type[Incoming]) -> Iterator[tuple[str, str]]:
    """Yield what is said of each wrong value of each field, with the field."""
    for name in messages.keys_of(model):
        for value in WRONG:
            try:
                messages.parse(model, {name: value}, 16_384)
            except InvalidField as error:
                yield error.detail, str(error.extra["field"])
            except PresenceError as error:
                yield error.detail, ""


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_each_is_about_the_field_and_says_what_it_must_be(model: type[Incoming]) -> None:
    found = set(sentences(model))
    assert found
    for sentence, field in found:
        assert sentence.startswith(field)
        assert sentence.endswith(".")
        rest = sentence.removeprefix(field).lower()
        assert not any(word in rest for word in WORDS), sentence


@pytest.mark.parametrize(
    ("model", "sent", "sentence"),
    [
        (batch.Batch, {"requests": [1]}, "requests.0 must be a JSON object."),
        (batch.Batch, {"requests": {}}, "requests must be a JSON list."),
        (batch.Batch, {"requests": []}, "requests must have at least 1 item, not 0."),
        (messages.EventsQuery, {"after": "x" * 65}, "after must have at most 64 characters."),
        (
            backend_messages.PutRoom,
            {"password": "x" * 201},
            "password must have at most 200 characters, not 201.",
        ),
        (
            backend_messages.PutRoom,
            {"password": ""},
            "password must have at least 1 character, not 0.",
        ),
    ],
)
def test_they_say_how_much_there_may_be(
    model: type[Incoming], sent: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(InvalidField) as refusal:
        messages.parse(model, sent)
    assert refusal.value.detail == sentence
