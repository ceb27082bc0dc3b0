"""Every list in what clients send has a bound, and is read no further than its first fault.

Without either a message of 256 kB whose every item is wrong took a third of a second to refuse.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator
from typing import Any, get_args, get_origin

import pytest
from annotated_types import MaxLen
from pydantic import FailFast
from pydantic.fields import FieldInfo

from presence.transport import wire
from presence.transport.wire.messages import Incoming


def models(base: type[Incoming] = Incoming) -> Iterator[type[Incoming]]:
    for model in base.__subclasses__():
        yield model
        yield from models(model)


def is_list(annotation: Any) -> bool:
    return get_origin(annotation) is list or any(is_list(part) for part in get_args(annotation))


def lists() -> list[tuple[str, FieldInfo]]:
    for module in pkgutil.iter_modules(wire.__path__, f"{wire.__name__}."):
        importlib.import_module(module.name)
    return [
        (f"{model.__name__}.{name}", field)
        for model in models()
        for name, field in model.model_fields.items()
        if is_list(field.annotation)
    ]


@pytest.mark.parametrize(("name", "field"), lists(), ids=lambda value: str(value)[:40])
def test_a_list_is_bounded_and_given_up_at_its_first_fault(name: str, field: FieldInfo) -> None:
    bounds = [part.max_length for part in field.metadata if isinstance(part, MaxLen)]
    assert bounds, f"{name} has no max_length"
    assert max(bounds) <= 4096
    assert any(isinstance(part, FailFast) for part in field.metadata), f"{name} does not FailFast()"
