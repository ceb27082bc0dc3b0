"""A request of the API as a line of curl, and in JavaScript and Python, to copy and run."""

from __future__ import annotations

import json
import pprint
import shlex
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlencode

from presence.transport.describing import schemas
from presence.transport.describing.schemas import Schema
from presence.transport.wire import json_codec

Body = dict[str, Any]
# What stands before the name of a file in a form, for curl.
_FILE = "@"


@dataclass(slots=True)
class Sample:
    """A request with examples for all that it needs; ``form`` has the fields of a form."""

    method: str
    address: str
    headers: dict[str, str] = field(default_factory=dict)
    json: Any = None
    form: dict[str, str] = field(default_factory=dict)


def sample(
    root: str, method: str, path: str, operation: Body, components: dict[str, Schema]
) -> Sample:
    """Return a request to a route of the OpenAPI document; `root` is the server's address."""
    query, headers = {}, {}
    for item in operation.get("parameters", []):
        example = (item["schema"].get("examples") or ["0f3c9a.txt"])[0]
        if item["in"] == "path":
            path = path.replace("{" + item["name"] + "}", quote(str(example), safe=""))
        elif item["in"] == "header":
            if item.get("required"):
                headers[item["name"]] = str(example)
        else:
            query[item["name"]] = example if isinstance(example, str) else json_codec.dumps(example)
    made = Sample(method.upper(), root + path + (f"?{urlencode(query)}" if query else ""), headers)
    media_type, body = body_of(operation)
    example = schemas.example_of(body, components) if body else {}
    if media_type == "application/json":
        made.json = example
    elif body:
        made.form = {key: str(value) for key, value in example.items()}
    return made


def body_of(operation: Body) -> tuple[str, Schema | None]:
    """Return the media type of a route's body and its schema, or an empty one and None."""
    content = operation.get("requestBody", {}).get("content", {})
    for media_type, described_as in content.items():
        return media_type, described_as["schema"]
    return "", None


def curl(made: Sample) -> str:
    """Return the line of curl that makes a request."""
    words = ["curl", *([] if made.method == "GET" else ["-X", made.method]), made.address]
    words += [word for name, value in made.headers.items() for word in ("-H", f"{name}: {value}")]
    if made.json is not None:
        words += ["-H", "Content-Type: application/json"]
        words += ["-d", json.dumps(made.json, ensure_ascii=False)]
    words += [word for key, value in made.form.items() for word in ("-F", f"{key}={value}")]
    return shlex.join(words)


def javascript(made: Sample) -> str:
    """Return what makes a request in a browser, or in Node."""
    lines: list[str] = []
    options: list[str] = [] if made.method == "GET" else [f'method: "{made.method}"']
    headers = dict(made.headers)
    if made.json is not None:
        headers["Content-Type"] = "application/json"
    if headers:
        options.append(f"headers: {_js(headers)}")
    if made.json is not None:
        options.append(f"body: JSON.stringify({_js(made.json)})")
    if made.form:
        lines.append("const body = new FormData();")
        for key, value in made.form.items():
            shown = json.dumps(value, ensure_ascii=False)
            if value.startswith(_FILE):
                shown = f'new File(["Some words.\\n"], "{value[1:]}")'
            lines.append(f'body.append("{key}", {shown});')
        options.append("body")
    given = ", {\n  " + ",\n  ".join(options) + ",\n}" if options else ""
    lines.append(f'const answer = await fetch("{made.address}"{given});')
    lines.append("console.log(answer.status, await answer.text());")
    return "\n".join(lines)


def python(made: Sample) -> str:
    """Return what makes a request in Python, with the library requests."""
    given = [f'"{made.address}"']
    if made.headers:
        given.append(f"headers={_py(made.headers)}")
    if made.json is not None:
        given.append(f"json={_py(made.json)}")
    plain = {key: value for key, value in made.form.items() if not value.startswith(_FILE)}
    sent = {key: value for key, value in made.form.items() if value.startswith(_FILE)}
    if plain:
        given.append(f"data={_py(plain)}")
    if sent:
        opened = ", ".join(f'"{key}": open("{value[1:]}", "rb")' for key, value in sent.items())
        given.append(f"files={{{opened}}}")
    arguments = given[0] if len(given) == 1 else "\n    " + ",\n    ".join(given) + ",\n"
    call = f"answer = requests.{made.method.lower()}({arguments})"
    return f"import requests\n\n{call}\nprint(answer.status_code, answer.text)"


def _js(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _py(value: Any) -> str:
    return pprint.pformat(value, width=100, sort_dicts=False)
