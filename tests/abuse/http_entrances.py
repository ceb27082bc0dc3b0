"""The entrances of HTTP: paths, queries, bodies and headers, from the routes and the source."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

from flask import Flask

from tests.abuse.bad_inputs import JSON_VALUES, TEXTS
from tests.abuse.entrances import (
    MOST_OF_A_LINE,
    Entrance,
    as_bytes,
    escaped,
    example_of,
    in_line,
    in_one_line,
    with_field,
)
from tests.support.paths import ROOT


class HttpEntrances:
    """The entrances of HTTP."""

    def __init__(self, app: Flask, authorization: str) -> None:
        self._app = app
        self._authorization = authorization
        self._rules = [
            (rule, method)
            for rule in app.url_map.iter_rules()
            for method in sorted((rule.methods or set()) - {"HEAD", "OPTIONS"})
        ]
        self._source = "\n".join(
            path.read_text() for path in sorted((ROOT / "presence").rglob("*.py"))
        )

    def all(self) -> Iterator[Entrance]:
        """Return them all."""
        yield from self.paths()
        yield from self.queries()
        yield from self.bodies()
        yield from self.headers()

    def paths(self) -> Iterator[Entrance]:
        """Every variable of every route's path, and what no route is."""
        for rule, method in self._rules:
            for variable in sorted(rule.arguments):
                yield Entrance(
                    f"{method} {rule.rule}, {variable} in its path",
                    "http",
                    partial(self._with_variable, method, rule.rule, variable),
                    TEXTS,
                    MOST_OF_A_LINE,
                )
        for prefix in ("/", "/api/webrtc/", "/uploads/", "/static/", "/socket.io/"):
            yield Entrance(
                f"GET {prefix}…",
                "http",
                partial(self._below, prefix),
                TEXTS,
                MOST_OF_A_LINE,
            )
        yield Entrance(
            "GET, not escaped",
            "http",
            lambda text: self.request("GET", "/" + in_one_line(text).replace(" ", "")),
            TEXTS,
            MOST_OF_A_LINE,
        )
        yield Entrance(
            "a method",
            "http",
            lambda text: self.request(in_one_line(text), "/"),
            TEXTS,
            MOST_OF_A_LINE,
        )

    def queries(self) -> Iterator[Entrance]:
        """Every parameter of a query that is described or that is read, and queries as a whole."""
        read = set(
            re.findall(
                r'(?:args\.get\(|query\.get\(|query\[|args\.to_dict\(\)\[)"(\w+)"', self._source
            )
        )
        for rule, method in self._rules:
            query = _described_query(self._app, rule.endpoint)
            names = sorted(set(query.model_fields) if query else read)
            for name in names:
                yield self._query(rule.rule, method, f"?{name}=", escaped, f"query {name}")
        for path in ("/", "/api/webrtc/ice-servers", "/socket.io/", "/uploads/x.txt"):
            yield self._query(path, "GET", "?", in_line, "its query")
        for start in (
            "?EIO=4&transport=polling&sid=",
            "?EIO=4&transport=",
            "?EIO=",
            "?transport=polling&j=",
        ):
            yield self._query("/socket.io/", "GET", start, escaped, f"query {start}")

    def _query(
        self, rule: str, method: str, start: str, escape: Callable[[str], str], what: str
    ) -> Entrance:
        return Entrance(
            f"{method} {rule}, {what}",
            "http",
            lambda text: self.request(method, self.path(rule) + start + escape(text)),
            TEXTS,
            MOST_OF_A_LINE,
        )

    def bodies(self) -> Iterator[Entrance]:
        """Every field of every route's body, one that nobody knows, and the body as a whole."""
        for rule, method in self._rules:
            declared = getattr(self._app.view_functions[rule.endpoint], "declared", None)
            model = declared.body if declared else None
            path = self.path(rule.rule) + "?peer_id=ada"
            if model is None:
                if method != "GET":
                    yield self._body(rule.rule, method, path, as_bytes, "a body")
                continue
            yield self._body(rule.rule, method, path, as_bytes, "its body")
            for field in (*model.model_fields, "unknown to all"):
                example = {
                    key: value for key, value in example_of(model).items() if key != "room_name"
                }
                yield self._body(
                    rule.rule,
                    method,
                    path,
                    partial(_object_with, example, field),
                    field,
                )
        yield Entrance(
            "a body in chunks of a byte",
            "http",
            lambda text: self.request(
                "POST",
                "/api/webrtc/rooms/costs/join",
                {"Transfer-Encoding": "chunked"},
                b"1\r\na\r\n" * (len(text) // 6) + b"0\r\n\r\n",
            ),
            {"long": TEXTS["long"]},
            takes_turns=True,
        )
        yield Entrance(
            "a body in a chunk with an extension",
            "http",
            lambda text: self.request(
                "POST",
                "/api/webrtc/rooms/costs/join",
                {"Transfer-Encoding": "chunked"},
                b"2;" + as_bytes(in_one_line(text)) + b"\r\n{}\r\n0\r\n\r\n",
            ),
            TEXTS,
        )
        yield Entrance(
            "a chunk's length",
            "http",
            lambda text: self.request(
                "POST",
                "/api/webrtc/rooms/costs/join",
                {"Transfer-Encoding": "chunked"},
                as_bytes(in_one_line(text)) + b"\r\n{}\r\n0\r\n\r\n",
            ),
            TEXTS,
        )
        yield Entrance(
            "trailers",
            "http",
            lambda text: self.request(
                "POST",
                "/api/webrtc/rooms/costs/join",
                {"Transfer-Encoding": "chunked"},
                b"2\r\n{}\r\n0\r\n" + b"X: y\r\n" * (len(text) // 6) + b"\r\n",
            ),
            {"long": TEXTS["long"]},
        )

    def _body(
        self, rule: str, method: str, path: str, body: Callable[[str], bytes], what: str
    ) -> Entrance:
        return Entrance(
            f"{method} {rule}, {what}",
            "http",
            lambda text: self.request(
                method, path, {"Content-Type": "application/json"}, body(text)
            ),
            JSON_VALUES,
        )

    def headers(self) -> Iterator[Entrance]:
        """Every header that is read, by this server or what it is built on, where it matters."""
        names = {
            name.replace("_", "-").title() for name in re.findall(r'"HTTP_([A-Z_]+)"', self._source)
        }
        names |= (
            set(re.findall(r'headers(?:\.get\(|\[)"([\w-]+)"', self._source)) & _REQUEST_HEADERS
        )
        names |= _REQUEST_HEADERS
        upgrade = {
            "Connection": "Upgrade",
            "Upgrade": "websocket",
            "Sec-WebSocket-Version": "13",
            "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
        }
        targets: list[tuple[str, str, dict[str, str]]] = [
            ("GET", "/api/webrtc/rooms/costs", {}),
            ("GET", "/nothing/here", {}),
            ("GET", "/static/css/presence.css", {}),
            ("GET", "/metrics", {}),
            ("POST", "/api/webrtc/upload", {}),
            ("POST", "/api/webrtc/rooms/costs/join", {}),
            ("OPTIONS", "/api/webrtc/rooms/costs/join", {"Origin": "https://app.example.org"}),
            ("GET", "/socket.io/?EIO=4&transport=polling", {}),
            ("GET", "/socket.io/?EIO=4&transport=websocket", upgrade),
        ]
        for method, path, others in targets:
            for name in sorted(names):
                for start in _STARTS.get(name, ("",)):
                    yield Entrance(
                        f"{method} {path}, header {name}: {start}",
                        "http",
                        partial(self._with_header, (method, path, others), name, start),
                        TEXTS,
                        MOST_OF_A_LINE,
                    )
            yield Entrance(
                f"{method} {path}, tiny headers",
                "http",
                partial(self._with_tiny_headers, method, path),
                {"long": TEXTS["long"]},
            )
            yield Entrance(
                f"{method} {path}, a header's name",
                "http",
                partial(self._with_name, method, path),
                TEXTS,
                MOST_OF_A_LINE,
            )
            yield Entrance(
                f"{method} {path}, a hundred headers",
                "http",
                partial(self._with_many_headers, method, path),
                {"long": TEXTS["long"]},
            )

    def request(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
    ) -> bytes:
        """Return a request as it is sent, with what lets it in unless its headers say otherwise."""
        given = {
            "Host": "127.0.0.1",
            "Authorization": self._authorization,
            **(headers or {}),
        }
        if body is not None and "Transfer-Encoding" not in given:
            given["Content-Length"] = str(len(body))
        lines = [
            f"{method} {path} HTTP/1.1",
            *(f"{name}: {value}" for name, value in given.items()),
        ]
        return as_bytes("\r\n".join(lines) + "\r\n\r\n") + (body or b"")

    def _with_header(
        self, target: tuple[str, str, Mapping[str, str]], name: str, start: str, text: str
    ) -> bytes:
        method, path, others = target
        return self.request(method, path, {**others, name: start + in_one_line(text)})

    def _with_variable(self, method: str, rule: str, variable: str, text: str) -> bytes:
        return self.request(method, self.path(rule, {variable: escaped(text)}))

    def _below(self, prefix: str, text: str) -> bytes:
        return self.request("GET", prefix + escaped(text))

    def _with_name(self, method: str, path: str, text: str) -> bytes:
        return self.request(method, path, {in_one_line(text): "x"})

    def _with_tiny_headers(self, method: str, path: str, text: str) -> bytes:
        headers = {f"X-{number}": "" for number in range(len(text) // 8)}
        return self.request(method, path, headers)

    def _with_many_headers(self, method: str, path: str, text: str) -> bytes:
        headers = {f"X-{number}": text[: len(text) // 95] for number in range(95)}
        return self.request(method, path, headers)

    @staticmethod
    def path(rule: str, values: Mapping[str, str] | None = None) -> str:
        """Return a rule's path, to other rooms and peers than the campaign's own."""
        return re.sub(
            r"<(?:\w+:)?(\w+)>", lambda found: (values or {}).get(found[1], "other"), rule
        )


def _described_query(app: Flask, endpoint: str) -> Any:
    """Return the model of a route's query, if it is described."""
    declared = getattr(app.view_functions[endpoint], "declared", None)
    return declared.query if declared else None


def _object_with(example: Mapping[str, Any], field: str, value: str) -> bytes:
    return as_bytes(with_field(example, field, value))


# What the server is built on reads: gunicorn, Werkzeug, Flask-CORS, Engine.IO and WebSocket.
_REQUEST_HEADERS = {
    *("Accept", "Accept-Charset", "Accept-Encoding", "Accept-Language", "Authorization"),
    *(
        "Cache-Control",
        "Connection",
        "Content-Length",
        "Content-Type",
        "Content-Encoding",
        "Cookie",
    ),
    *("Access-Control-Request-Headers", "Access-Control-Request-Method", "Date", "Expect"),
    *(
        "Forwarded",
        "Host",
        "Idempotency-Key",
        "If-Match",
        "If-Modified-Since",
        "If-None-Match",
        "If-Range",
    ),
    *("If-Unmodified-Since", "Origin", "Pragma", "Range", "Referer", "Sec-WebSocket-Extensions"),
    *("Sec-WebSocket-Key", "Sec-WebSocket-Protocol", "Sec-WebSocket-Version", "TE"),
    *("Transfer-Encoding", "Upgrade", "User-Agent", "X-Forwarded-For", "X-Forwarded-Proto"),
    *("X-Forwarded-Host", "X-HTTP-Method-Override", "X-Requested-With", "HX-Request"),
}
# How a header begins for it to be read on.
_STARTS: dict[str, tuple[str, ...]] = {
    "Authorization": ("", "Bearer ", "Basic ", "Digest ", "Bearer eyJhbGciOiJIUzI1NiJ9."),
    "Accept": ("", "text/html,", "application/openmetrics-text;"),
    "Content-Type": ("", "multipart/form-data; boundary=", "application/json;"),
    "If-None-Match": ("", 'W/"', '"'),
    "Range": ("", "bytes="),
    "If-Range": ("", '"'),
    "Origin": ("", "https://"),
    "Sec-WebSocket-Extensions": ("", "permessage-deflate;"),
    "Cookie": ("", "io="),
}
