"""Holding real bodies against the documents, with no key allowed that they do not name."""

from __future__ import annotations

import copy
import re
from typing import Any

import jsonschema
import requests

from local_cluster.live_server import LiveServer

Body = dict[str, Any]


def closed(schema: Any) -> Any:
    """Return a schema in which an object has only the keys that are described."""
    if isinstance(schema, list):
        return [closed(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    made = {key: closed(value) for key, value in schema.items()}
    if isinstance(schema.get("properties"), dict):
        made["properties"] = {key: closed(part) for key, part in schema["properties"].items()}
        if schema.get("type") == "object":
            made.setdefault("additionalProperties", False)
    return made


def check(body: Any, schema: Body, document: Body, what: str) -> None:
    """Fail unless a body follows a schema of a document to the letter."""
    components = closed(copy.deepcopy(document["components"]["schemas"]))
    whole = {**closed(copy.deepcopy(schema)), "components": {"schemas": components}}
    found = sorted(
        jsonschema.Draft202012Validator(whole).iter_errors(body), key=lambda error: error.json_path
    )
    assert not found, f"{what}: {found[0].json_path}: {found[0].message}\n{body}"


class Caller:
    """Calls the routes of a server and checks every answer; ``seen`` has what was answered, and
    ``location`` where the last answer pointed to.
    """

    def __init__(self, server: LiveServer) -> None:
        self.server = server
        self.document = requests.get(f"{server.url}/api/openapi.json", timeout=10).json()
        self.seen: set[tuple[str, str, int]] = set()
        self.location = ""

    def __call__(self, method: str, path: str, status: int = 200, **options: Any) -> Any:
        """Make a request that is to be answered with a status; return its JSON, or its text."""
        response = requests.request(method, self.server.url + path, timeout=20, **options)
        template = self._template(method, response.request.path_url.partition("?")[0])
        what = f"{method} {path} → {response.status_code}"
        assert response.status_code == status, f"{what}: {response.text[:500]}"
        responses = self.document["paths"][template][method.lower()]["responses"]
        assert str(status) in responses, f"{what} is not described"
        self.seen.add((template, method, status))
        self.location = response.headers.get("Location", "")
        content = responses[str(status)].get("content", {})
        if not content and not response.content:
            return None
        media_type = response.headers["Content-Type"].partition(";")[0]
        assert media_type in content, what
        if media_type != "application/json":
            return response.text
        check(response.json(), content[media_type]["schema"], self.document, what)
        return response.json()

    def _template(self, method: str, path: str) -> str:
        matching: list[str] = [
            template
            for template, item in self.document["paths"].items()
            if method.lower() in item
            and re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", template.replace(".", r"\.")), path)
        ]
        assert matching, f"{method} {path} is not described"
        return min(matching, key=lambda template: template.count("{"))
