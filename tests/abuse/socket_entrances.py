"""The entrances of a socket: events from their descriptions, and packets that none describes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from flask import Flask

from presence.transport.wire import described
from tests.abuse.bad_inputs import JSON_VALUES, TEXTS, json_text
from tests.abuse.entrances import ACK, MOST, Entrance, as_bytes, example_of, with_field
from tests.support.streams import BINARY, PING, TEXT, frame

CONTINUATION = 0


def of_sockets(app: Flask) -> Iterator[Entrance]:
    """Return every entrance of a socket."""
    yield from _events(app)
    yield from _packets()
    yield from _frames()


def _message(text: str) -> bytes:
    return frame(TEXT, as_bytes(text))


def _after(start: str, end: str = "") -> Callable[[str], bytes]:
    """Return what packs a text into a packet that begins and ends so."""
    return lambda text: _message(start + text + end)


def _events(app: Flask) -> Iterator[Entrance]:
    """Every field of every event, one that nobody knows, and the message as a whole."""
    handlers = app.extensions["presence"].event_handlers
    for name, (handler, _) in handlers.items():
        model = described.declaration_of(handler).message
        start = f'42{ACK}["{name}",'
        yield Entrance(
            f"event {name}",
            "socket",
            _after(start, "]"),
            JSON_VALUES,
        )
        fields = [*(model.model_fields if model else ()), "unknown to all"]
        for field in fields:

            def pack(
                value: str, start: str = start, field: str = field, model: Any = model
            ) -> bytes:
                example = example_of(model) if model else {}
                return _message(start + with_field(example, field, value) + "]")

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
    starts += ["45", "451-", "46", '42["signal",', "48"]
    for start in starts:
        yield Entrance(
            f"packet {start!r} and a text",
            "socket",
            _after(start),
            TEXTS,
            answered=False,
        )
    for start in ("40", "42", "43", "431", "44", "450-", "451-", "42/x,"):
        yield Entrance(
            f"packet {start!r} and a value",
            "socket",
            _after(start),
            JSON_VALUES,
            answered=False,
        )
    yield Entrance(
        "packet, an attachment",
        "socket",
        lambda text: _message('451-["signal",{}]') + frame(BINARY, as_bytes(text)),
        TEXTS,
        answered=False,
    )


def _frames() -> Iterator[Entrance]:
    """Messages in tiny frames, which cost more a byte than others."""
    event = as_bytes(f'42{ACK}["sync",' + "{}]")

    def fragments(text: str) -> bytes:
        body = as_bytes(text)[: MOST // 7]
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
