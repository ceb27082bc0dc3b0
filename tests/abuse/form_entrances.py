"""The entrances of bodies that have a form of their own: uploads', and those of polling."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator, Mapping

from tests.abuse.bad_inputs import TEXTS, Text
from tests.abuse.entrances import MOST_OF_A_LINE, Entrance, as_bytes, escaped, in_one_line
from tests.abuse.http_entrances import HttpEntrances


def of_forms(http: HttpEntrances) -> Iterator[Entrance]:
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
                f"Content-Disposition: form-data; name=file; filename*=utf-8''{escaped(text)}.txt"
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
                'Content-Disposition: form-data; name="file"; filename="a.txt"\r\n'
                f"Content-Type: {text}"
            )
        ),
        "a part's header": lambda text: owner + part(f"{text}: x") + file("a.txt"),
        "before the first part": lambda text: text + "\r\n" + owner + file("a.txt"),
        "after the last part": lambda text: owner + file("a.txt") + "--b--\r\n" + text,
        "no form": lambda text: text,
        "headers without an end": lambda text: "--b\r\n" + text,
    }
    for what, body in places.items():
        yield _form(http, what, body, TEXTS)
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
    yield _form(http, "its parts", lambda text: owner + text + "--b--\r\n", repeated)
    yield _form(http, "a part's headers", lambda text: owner + "--b\r\n" + text + "\r\nx", repeated)
    yield _form(http, "the file", lambda text: owner + file("a.txt")[:-2] + text, repeated)
    yield Entrance(
        "form, its boundary",
        "http",
        lambda text: _post_form(
            http,
            "--" + in_one_line(text) + "\r\n",
            'multipart/form-data; boundary="' + in_one_line(text) + '"',
        ),
        TEXTS,
        MOST_OF_A_LINE,
    )


def _form(
    http: HttpEntrances, what: str, body: Callable[[str], str], families: Mapping[str, Text]
) -> Entrance:
    return Entrance(
        f"form, {what}",
        "http",
        lambda text: _post_form(http, body(text) + ("" if what == "no form" else "--b--\r\n")),
        families,
    )


def _post_form(
    http: HttpEntrances, body: str, content_type: str = "multipart/form-data; boundary=b"
) -> bytes:
    return http.request(
        "POST", "/api/webrtc/upload", {"Content-Type": content_type}, as_bytes(body)
    )


def of_polling() -> Iterator[Entrance]:
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
    yield Entrance("a polling body", "polling", as_bytes, families, answered=True, takes_turns=True)
