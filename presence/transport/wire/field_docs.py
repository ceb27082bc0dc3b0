"""The string below a model's field as the field's description in its JSON Schema.

pydantic can do that (``use_attribute_docstrings``), but reads every model's source again while the
modules load: a tenth of a start, for what only the descriptions of the API ask for. Here it is read
when a schema is made.
"""

from __future__ import annotations

import ast
import inspect
import sys
from collections.abc import Callable
from functools import cache
from itertools import pairwise
from types import ModuleType
from typing import Any

from pydantic import BaseModel

Schema = dict[str, Any]


def added(
    extra: Schema | Callable[[Schema], None] | None = None,
) -> Callable[[Schema, type[BaseModel]], None]:
    """Return a ``json_schema_extra`` that adds the fields' descriptions, and `extra`."""

    def add(schema: Schema, model: type[BaseModel]) -> None:
        properties = schema.get("properties", {})
        for owner in reversed(model.__mro__):
            for name, text in _docs_of(owner).items():
                field = model.model_fields.get(name)
                if field is not None:
                    part = properties.get(field.alias or name)
                    if part is not None and field.description is None:
                        part["description"] = text
        if callable(extra):
            extra(schema)
        elif extra is not None:
            schema.update(extra)

    return add


def _docs_of(model: type) -> dict[str, str]:
    """Return the strings below the fields that a class itself has, by field."""
    module = sys.modules.get(model.__module__)
    if module is None or not issubclass(model, BaseModel) or model is BaseModel:
        return {}
    return _docs_in(module).get(model.__name__, {})


@cache
def _docs_in(module: ModuleType) -> dict[str, dict[str, str]]:
    """Return the strings below the fields of every class at the top of a module."""
    return {
        node.name: {
            field.target.id: inspect.cleandoc(below.value.value)
            for field, below in pairwise(node.body)
            if isinstance(field, ast.AnnAssign)
            and isinstance(field.target, ast.Name)
            and isinstance(below, ast.Expr)
            and isinstance(below.value, ast.Constant)
            and isinstance(below.value.value, str)
        }
        for node in ast.parse(inspect.getsource(module)).body
        if isinstance(node, ast.ClassDef)
    }
