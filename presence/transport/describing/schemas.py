"""JSON Schemas of models and conditions, and examples that follow them.

Schemas are of JSON Schema 2020-12, as OpenAPI 3.1 takes them, and refer to each other below
``#/components/schemas/``, where both documents keep them.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from typing import Any, get_args, get_origin, get_type_hints

import orjson
from pydantic import BaseModel, TypeAdapter
from pydantic.json_schema import models_json_schema

from presence import errors
from presence.errors import PresenceError

Schema = dict[str, Any]

_PREFIX = "#/components/schemas/"
# What the constructors of conditions are given to make an example of each.
_SAMPLES: dict[str, Any] = {
    "room_name": "studio",
    "peer_id": "ada",
    "username": "Ada",
    "filename": "0f3c9a.txt",
    "ref": "5f0c81d2a4e9",
    "max_peers": 100,
    "size": 70_000,
    "width": 30_000,
    "height": 30_000,
    "limit": 65_536,
    "field": "room_name",
    "reason": "is required, and was not given.",
    "user_data": {"hand": "raised"},
    "room_data": {"slide": 3},
    "version": 17,
    "fault": "it is not valid yet",
    "lack": "It has no “upload” among its grants.",
    "grant": "upload",
    "own": "ada",
    "until": "2026-05-04T12:00:00Z",
    "since": "2026-05-04T12:00:00.000Z",
    "because": "Advertising",
    "reasons": {"database": "The database does not answer."},
}
# What any answer to a message may have besides.
HINTS: Schema = {
    "type": "array",
    "items": {"type": "string"},
    "description": "Keys of the message that are none but resemble one, a sentence each.",
}
_BY_TYPE: dict[Any, Any] = {str: "…", int: 1, float: 1.0, bool: True}


def ref(name: str) -> Schema:
    """Return a reference to a schema among the components."""
    return {"$ref": _PREFIX + name}


def of_models(models: Iterable[type[BaseModel]]) -> dict[str, Schema]:
    """Return the schemas of models and of what they are made of, by name."""
    unique = sorted(set(models), key=lambda model: model.__name__)
    _, whole = models_json_schema(
        [(model, "validation") for model in unique], ref_template=_PREFIX + "{model}"
    )
    found: dict[str, Schema] = whole.get("$defs", {})
    return {name: _without_titles(schema) for name, schema in sorted(found.items())}


def name_of(condition: type[PresenceError]) -> str:
    """Return a condition's name among the components, where models have theirs."""
    return condition.__name__.removesuffix("Error") + "Error"


def of_condition(condition: type[PresenceError]) -> Schema:
    """Return the schema of a condition's answer."""
    keys = extra_keys(condition)
    return {
        "type": "object",
        "description": paragraph(condition),
        "properties": {
            "code": {"const": condition.code, "type": "string"},
            "detail": {"type": "string", "description": "What happened and what to do about it."},
            **keys,
            "hints": HINTS,
        },
        "required": ["code", "detail"],
        "examples": [example_of_condition(condition)],
    }


def of_conditions(conditions: Iterable[type[PresenceError]], more: Schema | None = None) -> Schema:
    """Return one schema for the answers of several conditions; `more` are further keys."""
    chosen = sorted(set(conditions), key=lambda condition: condition.code)
    keys: Schema = {}
    for condition in chosen:
        keys |= extra_keys(condition)
    return {
        "type": "object",
        "properties": {
            "code": {"type": "string", "enum": [condition.code for condition in chosen]},
            "detail": {"type": "string", "description": "What happened and what to do about it."},
            **keys,
            **(more or {}),
            "hints": HINTS,
        },
        "required": ["code", "detail"],
        "examples": [example_of_condition(chosen[0])],
    }


def extra_keys(condition: type[PresenceError]) -> dict[str, Schema]:
    """Return the schemas of the keys that a condition declares, by name."""
    hints = get_type_hints(condition)
    inherited = get_type_hints(PresenceError)
    return {
        name: TypeAdapter(hint).json_schema()
        for name, hint in hints.items()
        if name not in inherited
    }


def add_hints(components: dict[str, Schema], models: Iterable[type[BaseModel] | None]) -> None:
    """Let the answers of these models, among the components, have hints."""
    for model in models:
        if model is not None:
            components[model.__name__].setdefault("properties", {})["hints"] = HINTS


def with_key(schema: Schema, key: str, value: Any) -> Schema:
    """Return an object's schema with one more key, which always has this value."""
    return {
        **schema,
        "properties": {key: {"const": value}, **schema.get("properties", {})},
        "required": [key, *schema.get("required", [])],
        "examples": [{key: value, **example} for example in schema.get("examples", [])],
    }


def example_of(schema: Schema, components: dict[str, Schema]) -> Any:
    """Return a value that follows a schema, made of the examples that stand in it.

    Keys that may be left out are there only in messages, and if they have an example.
    """
    schema = resolved(schema, components)
    choices = schema.get("oneOf") or schema.get("anyOf")
    value: Any = {}
    if schema.get("examples"):
        value = schema["examples"][0]
    elif "const" in schema or "default" in schema:
        value = schema.get("const", schema.get("default"))
    elif schema.get("type") == "object":
        value = _example_of_object(schema, components)
    elif schema.get("type") == "array":
        value = [example_of(schema["items"], components)]
    elif choices:
        value = example_of(choices[0], components)
    return value


def example_of_condition(condition: type[PresenceError]) -> dict[str, Any]:
    """Return what a client might be answered in a condition."""
    parameters = list(inspect.signature(condition.__init__).parameters.values())[1:]
    arguments = {
        parameter.name: _sample(parameter, condition)
        for parameter in parameters
        if parameter.kind is not inspect.Parameter.VAR_KEYWORD
    }
    return condition(**arguments).body()


def _sample(parameter: inspect.Parameter, condition: type[PresenceError]) -> Any:
    if parameter.name == "detail":
        return paragraph(condition)
    if parameter.name in _SAMPLES:
        return _SAMPLES[parameter.name]
    hint = get_type_hints(condition.__init__).get(parameter.name, str)
    origin = get_origin(hint)
    if origin in (list, tuple, dict):
        return origin()
    return _BY_TYPE.get(next(iter(get_args(hint)), hint), "…")


def _example_of_object(schema: Schema, components: dict[str, Schema]) -> dict[str, Any]:
    if "properties" not in schema:
        inner = schema.get("additionalProperties")
        key = schema.get("x-example-key")
        return {key: example_of(inner, components)} if key and isinstance(inner, dict) else {}
    required = schema.get("required", [])
    return {
        name: example_of(part, components)
        for name, part in schema["properties"].items()
        if name in required or (part.get("examples") and schema.get("x-whole-example"))
    }


def paragraph(documented: Any) -> str:
    """Return a docstring as one line, without the marks of reStructuredText."""
    return " ".join((documented.__doc__ or "").split()).replace("``", "`")


def _without_titles(schema: Any) -> Any:
    """Leave out pydantic's titles of fields, which only repeat their names."""
    if isinstance(schema, list):
        return [_without_titles(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        key: {name: _without_titles(part) for name, part in value.items()}
        if key in ("properties", "$defs") and isinstance(value, dict)
        else _without_titles(value)
        for key, value in schema.items()
        if key != "title" or not isinstance(value, str)
    }


def conditions() -> list[type[PresenceError]]:
    """Return every condition that a client can be told of."""
    return [
        item
        for _name, item in inspect.getmembers(errors, inspect.isclass)
        if issubclass(item, PresenceError) and item is not PresenceError
    ]


def resolved(schema: Schema, components: dict[str, Schema]) -> Schema:
    """Return what a schema refers to, or itself."""
    return components[schema["$ref"].removeprefix(_PREFIX)] if "$ref" in schema else schema


def in_words(schema: Schema) -> str:
    """Return a schema's type as people say it, such as “list of Peer” or “text or null”."""
    words = {"string": "text", "integer": "whole number", "boolean": "true or false"}
    if "$ref" in schema:
        return str(schema["$ref"]).removeprefix(_PREFIX)
    choices = schema.get("anyOf") or schema.get("oneOf")
    said: str
    if "const" in schema:
        said = orjson.dumps(schema["const"]).decode()
    elif "enum" in schema:
        said = ", ".join(map(str, schema["enum"]))
    elif choices:
        said = " or ".join(dict.fromkeys(in_words(choice) for choice in choices))
    elif schema.get("type") == "array":
        said = f"list of {in_words(schema.get('items', {}))}"
    elif schema.get("format"):
        said = {"date-time": "time", "binary": "file"}.get(schema["format"], "text")
    else:
        kind = str(schema.get("type", "any JSON"))
        said = words.get(kind, kind)
    return said
