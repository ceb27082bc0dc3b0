"""Every place where bytes of a client come in, made of the server's own descriptions.

An entrance takes families of inputs (see `bad_inputs`) and packs one into what is sent: a field of
an event or of a route's body, a variable of a path, a parameter of a query, a header, a form, and
packets that no description knows.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from flask import Flask
from pydantic import BaseModel

from app import create_app
from presence.config import Settings
from presence.transport.rest import schemas
from presence.transport.wire import described
from tests.abuse.bad_inputs import JSON_VALUES, TEXTS, Text, json_text
from tests.abuse.streams import BINARY, PING, TEXT, frame
from tests.support.paths import ROOT

CONTINUATION = 0
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


def all_entrances(folder: Path, authorization: str) -> list[Entrance]:
    """Return every entrance of a server, of which one that does not serve is made in a folder.

    `authorization` is the header that lets a request in.
    """
    app = create_app(
        Settings(database_url=f"sqlite:///{folder}/described.db", upload_dir=str(folder / "up"))
    )
    http = _Http(app, authorization)
    return [
        *_events(app),
        *_packets(),
        *_frames(),
        *http.paths(),
        *http.queries(),
        *http.bodies(),
        *http.headers(),
        *http.forms(),
        *http.polling(),
    ]


def _example(model: type[BaseModel]) -> dict[str, Any]:
    components = schemas.of_models([model])
    return dict(schemas.example_of(components[model.__name__], components))


def _with(example: Mapping[str, Any], key: str, value: str) -> str:
    """Return an object as JSON in which a key has a value that need not be JSON."""
    others = [f"{json.dumps(name)}:{json.dumps(it)}" for name, it in example.items() if name != key]
    return "{" + ",".join([*others, f"{json_text(key)}:{value}"]) + "}"


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _message(text: str) -> bytes:
    return frame(TEXT, _bytes(text))


def _events(app: Flask) -> Iterator[Entrance]:
    """Every field of every event, one that nobody knows, and the message as a whole."""
    handlers = app.extensions["presence"].event_handlers
    for name, (handler, _) in handlers.items():
        model = described.declaration_of(handler).message
        start = f'42{ACK}["{name}",'
        yield Entrance(
            f"event {name}",
            "socket",
            lambda text, start=start: _message(start + text + "]"),
            JSON_VALUES,
        )
        fields = [*(model.model_fields if model else ()), "unknown to all"]
        for field in fields:

            def pack(
                value: str, start: str = start, field: str = field, model: Any = model
            ) -> bytes:
                example = _example(model) if model else {}
                return _message(start + _with(example, field, value) + "]")

            yield Entrance(f"event {name}, {field}", "socket", pack, JSON_VALUES)
    yield Entrance(
        "event, its name",
        "socket",
        lambda text: _message(f"42{ACK}[{json_text(text)},{{}}]"),
        TEXTS,
        answered=False,
    )
    yield Entrance(
        "event, a key",
        "socket",
        lambda text: _message(f'42{ACK}["signal",{{"to":"a","data":{{{json_text(text)}:[0]}}}}]'),
        TEXTS,
    )


def _packets() -> Iterator[Entrance]:
    """Packets of Engine.IO and Socket.IO that are anything but what they should be."""
    starts = [
        "",
        "0",
        "1",
        "2",
        "3",
        "5",
        "6",
        "4",
        "40",
        "40/",
        "41",
        "42",
        f"42{ACK}",
        "42/",
        "43",
        "44",
    ]
    starts += ["45", "451-", "46", f'42["signal",', "48"]
    for start in starts:
        yield Entrance(
            f"packet {start!r} and a text",
            "socket",
            lambda text, start=start: _message(start + text),
            TEXTS,
            answered=False,
        )
    for start in ("40", "42", "43", "431", "44", "450-", "451-", "42/x,"):
        yield Entrance(
            f"packet {start!r} and a value",
            "socket",
            lambda text, start=start: _message(start + text),
            JSON_VALUES,
            answered=False,
        )
    yield Entrance(
        "packet, an attachment",
        "socket",
        lambda text: _message('451-["signal",{}]') + frame(BINARY, _bytes(text)),
        TEXTS,
        answered=False,
    )


def _frames() -> Iterator[Entrance]:
    """Messages in tiny frames, which cost more a byte than others."""
    event = _bytes(f'42{ACK}["sync",' + "{}]")

    def fragments(text: str) -> bytes:
        body = _bytes(text)[: MOST // 7]
        inner = b"".join(frame(CONTINUATION, bytes([byte]), final=False) for byte in body)
        return frame(TEXT, b"4", final=False) + inner + frame(CONTINUATION, b"")

    small = {name: TEXTS[name] for name in ("long", "quotes", "astral")}
    yield Entrance("frames of a byte", "socket", fragments, small, answered=False, takes_turns=True)
    yield Entrance(
        "frames that ask for an answer",
        "socket",
        lambda text: frame(PING, b"") * (len(text) // 6) + frame(TEXT, event),
        {"long": TEXTS["long"]},
        takes_turns=True,
    )


class _Http:
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

    def paths(self) -> Iterator[Entrance]:
        """Every variable of every route's path, and what no route is."""
        for rule, method in self._rules:
            for variable in sorted(rule.arguments):
                yield Entrance(
                    f"{method} {rule.rule}, {variable} in its path",
                    "http",
                    lambda text, rule=rule, method=method, variable=variable: self.request(
                        method, self.path(rule.rule, {variable: _escaped(text)})
                    ),
                    TEXTS,
                    MOST_OF_A_LINE,
                )
        for prefix in ("/", "/api/webrtc/", "/uploads/", "/static/", "/socket.io/"):
            yield Entrance(
                f"GET {prefix}…",
                "http",
                lambda text, prefix=prefix: self.request("GET", prefix + _escaped(text)),
                TEXTS,
                MOST_OF_A_LINE,
            )
        yield Entrance(
            "GET, not escaped",
            "http",
            lambda text: self.request("GET", "/" + _in_one_line(text).replace(" ", "")),
            TEXTS,
            MOST_OF_A_LINE,
        )
        yield Entrance(
            "a method",
            "http",
            lambda text: self.request(_in_one_line(text), "/"),
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
            query = described_query(self._app, rule.endpoint)
            names = sorted(set(query.model_fields) if query else read)
            for name in names:
                yield self._query(rule.rule, method, f"?{name}=", _escaped, f"query {name}")
        for path in ("/", "/api/webrtc/ice-servers", "/socket.io/", "/uploads/x.txt"):
            yield self._query(path, "GET", "?", _in_line, "its query")
        for start in (
            "?EIO=4&transport=polling&sid=",
            "?EIO=4&transport=",
            "?EIO=",
            "?transport=polling&j=",
        ):
            yield self._query("/socket.io/", "GET", start, _escaped, f"query {start}")

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
                    yield self._body(rule.rule, method, path, _bytes, "a body")
                continue
            yield self._body(rule.rule, method, path, _bytes, "its body")
            for field in (*model.model_fields, "unknown to all"):
                example = {
                    key: value for key, value in _example(model).items() if key != "room_name"
                }
                yield self._body(
                    rule.rule,
                    method,
                    path,
                    lambda value, example=example, field=field: _bytes(
                        _with(example, field, value)
                    ),
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
                b"2;" + _bytes(_in_one_line(text)) + b"\r\n{}\r\n0\r\n\r\n",
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
                _bytes(_in_one_line(text)) + b"\r\n{}\r\n0\r\n\r\n",
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
                        lambda text, method=method, path=path, others=others, name=name, start=start: (
                            self.request(method, path, {**others, name: start + _in_one_line(text)})
                        ),
                        TEXTS,
                        MOST_OF_A_LINE,
                    )
            yield Entrance(
                f"{method} {path}, tiny headers",
                "http",
                lambda text, method=method, path=path: self.request(
                    method, path, {f"X-{number}": "" for number in range(len(text) // 8)}
                ),
                {"long": TEXTS["long"]},
            )
            yield Entrance(
                f"{method} {path}, a header's name",
                "http",
                lambda text, method=method, path=path: self.request(
                    method, path, {_in_one_line(text): "x"}
                ),
                TEXTS,
                MOST_OF_A_LINE,
            )
            yield Entrance(
                f"{method} {path}, a hundred headers",
                "http",
                lambda text, method=method, path=path: self.request(
                    method,
                    path,
                    {f"X-{number}": text[: len(text) // 95] for number in range(95)},
                ),
                {"long": TEXTS["long"]},
            )

    def forms(self) -> Iterator[Entrance]:
        """Forms of an upload: their boundary, their parts, headers of parts, fields, file names."""

        def part(head: str, body: str = "x") -> str:
            return f"--b\r\n{head}\r\n\r\n{body}\r\n"

        def field(name: str, value: str) -> str:
            return part(f'Content-Disposition: form-data; name="{name}"', value)

        def file(name: str) -> str:
            return part(f'Content-Disposition: form-data; name="file"; filename="{name}"')

        owner = field("room_name", "costs") + field("peer_id", "sender")
        places: dict[str, Callable[[str], str]] = {
            "file name": lambda text: owner + file(text + ".txt"),
            "file name, escaped": lambda text: (
                owner
                + part(
                    f"Content-Disposition: form-data; name=file; filename*=utf-8''{_escaped(text)}.txt"
                )
            ),
            "field room_name": lambda text: field("room_name", text) + file("a.txt"),
            "field peer_id": lambda text: field("peer_id", text) + file("a.txt"),
            "an unknown field": lambda text: owner + field("more", text) + file("a.txt"),
            "a field's name": lambda text: owner + field(text, "x") + file("a.txt"),
            "parameters of a part": lambda text: (
                owner + part(f"Content-Disposition: form-data; name=x; {text}") + file("a.txt")
            ),
            "a part's disposition": lambda text: (
                owner + part(f"Content-Disposition: {text}") + file("a.txt")
            ),
            "a part's type": lambda text: (
                owner
                + part(
                    f'Content-Disposition: form-data; name="file"; filename="a.txt"\r\nContent-Type: {text}'
                )
            ),
            "a part's header": lambda text: owner + part(f"{text}: x") + file("a.txt"),
            "before the first part": lambda text: text + "\r\n" + owner + file("a.txt"),
            "after the last part": lambda text: owner + file("a.txt") + "--b--\r\n" + text,
            "no form": lambda text: text,
            "headers without an end": lambda text: "--b\r\n" + text,
        }
        for what, body in places.items():
            yield self._form(what, body, TEXTS)
        pieces = {
            "parts": part("X: y"),
            "fields": field("x", ""),
            "boundaries": "--b\r\n",
            "ends": "--b--\r\n",
            "line ends": "\r\n",
            "almost boundaries": "\r\n--",
            "almost boundaries, longer": "\r\n--c",
            "carriage returns": "\r",
            "headers": "X: y\r\n",
        }
        repeated: dict[str, Text] = {
            name: lambda size, piece=piece: piece * max(1, size // len(piece))  # type: ignore[misc]
            for name, piece in pieces.items()
        }
        yield self._form("its parts", lambda text: owner + text + "--b--\r\n", repeated)
        yield self._form(
            "a part's headers", lambda text: owner + "--b\r\n" + text + "\r\nx", repeated
        )
        yield self._form("the file", lambda text: owner + file("a.txt")[:-2] + text, repeated)
        yield Entrance(
            "form, its boundary",
            "http",
            lambda text: self._post_form(
                "--" + _in_one_line(text) + "\r\n",
                'multipart/form-data; boundary="' + _in_one_line(text) + '"',
            ),
            TEXTS,
            MOST_OF_A_LINE,
        )

    def _form(
        self, what: str, body: Callable[[str], str], families: Mapping[str, Text]
    ) -> Entrance:
        return Entrance(
            f"form, {what}",
            "http",
            lambda text: self._post_form(body(text) + ("" if what == "no form" else "--b--\r\n")),
            families,
        )

    def _post_form(self, body: str, content_type: str = "multipart/form-data; boundary=b") -> bytes:
        return self.request(
            "POST", "/api/webrtc/upload", {"Content-Type": content_type}, _bytes(body)
        )

    def polling(self) -> Iterator[Entrance]:
        """Bodies of Engine.IO's polling; they come to a session that is made for each."""
        families: dict[str, Text] = {
            **TEXTS,
            "many packets": lambda size: "6\x1e" * (size // 2),
            "many events": lambda size: '42["x"]\x1e' * (size // 8),
            "many binary ones": lambda size: "bAAAA\x1e" * (size // 6),
            "binary": lambda size: "b" + base64.b64encode(b"\xff" * (size * 3 // 4)).decode(),
            "binary that is none": lambda size: "b" + "A" * size,
            "a form": lambda size: "d=" + "%1e" * (size // 3),
        }
        yield Entrance(
            "a polling body", "polling", _bytes, families, answered=True, takes_turns=True
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
        return _bytes("\r\n".join(lines) + "\r\n\r\n") + (body or b"")

    @staticmethod
    def path(rule: str, values: Mapping[str, str] | None = None) -> str:
        """Return a rule's path; other rooms and peers than the campaign's own, where none are said."""
        return re.sub(
            r"<(?:\w+:)?(\w+)>", lambda found: (values or {}).get(found[1], "other"), rule
        )


def described_query(app: Flask, endpoint: str) -> Any:
    """Return the model of a route's query, if it is described."""
    declared = getattr(app.view_functions[endpoint], "declared", None)
    return declared.query if declared else None


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
    *("Forwarded", "Host", "If-Match", "If-Modified-Since", "If-None-Match", "If-Range"),
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


def _escaped(text: str) -> str:
    return quote(text, safe="", errors="surrogatepass")


def _in_line(text: str) -> str:
    """Return a text in which only what would end the line is escaped."""
    return re.sub(r"[\x00-\x20\x7f-\U0010ffff]", lambda found: _escaped(found[0]), text)


def _in_one_line(text: str) -> str:
    return text.replace("\r", "").replace("\n", "")
