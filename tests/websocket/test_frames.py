"""WebSocket frames byte by byte: the examples of RFC 6455 and 7692, and what no client may send."""

from __future__ import annotations

import random
import time
import zlib
from typing import Any

import pytest

from presence.transport.websocket import protocol
from presence.transport.websocket.protocol import Reader, WebSocketError
from tests.websocket.frames import client_frame

LIMIT = 1000


def read(*chunks: bytes, compression: bool = False) -> list[tuple[int, str | bytes]]:
    """Return what a reader makes of bytes that arrive in these chunks."""
    reader = Reader(LIMIT, compression=compression)
    messages = []
    for chunk in chunks:
        reader.feed(chunk)
        while (message := reader.next()) is not None:
            messages.append(message)
    return messages


def one_by_one(data: bytes) -> list[bytes]:
    return [data[at : at + 1] for at in range(len(data))]


def test_the_masked_text_of_the_rfc_is_read() -> None:
    data = bytes.fromhex("818537fa213d7f9f4d5158")
    assert read(data) == read(*one_by_one(data)) == [(protocol.TEXT, "Hello")]


@pytest.mark.parametrize("size", [0, 1, 3, 4, 5, 125, 1200, 70_001])
def test_the_fallback_unmasks_like_the_part_in_c(size: int) -> None:
    payload, mask = random.Random(size).randbytes(size), b"\x9b\x75\x9c\xf6"
    bare = bytes(byte ^ mask[at % 4] for at, byte in enumerate(payload))
    assert protocol.unmasked(payload, mask) == protocol._unmask(payload, mask) == bare


def test_the_ping_of_the_rfc_is_read_and_its_pong_is_written() -> None:
    assert read(bytes.fromhex("898537fa213d7f9f4d5158")) == [(protocol.PING, b"Hello")]
    assert protocol.frame(b"Hello", protocol.PONG) == bytes.fromhex("8a0548656c6c6f")


@pytest.mark.parametrize(
    ("size", "head"),
    [
        (0, "8200"),
        (125, "827d"),
        (126, "827e007e"),
        (256, "827e0100"),
        (65_535, "827effff"),
        (65_536, "827f0000000000010000"),
    ],
)
def test_frames_have_the_shortest_head_for_their_size(size: int, head: str) -> None:
    made = protocol.frame(bytes(size), protocol.BINARY)
    assert made[: len(made) - size] == bytes.fromhex(head)
    reader = Reader(size)
    reader.feed(client_frame(bytes(size), protocol.BINARY))
    assert reader.next() == (protocol.BINARY, bytes(size))


def test_fragments_make_one_message_with_control_frames_between_them() -> None:
    data = (
        client_frame("Hé".encode()[:2], final=False)
        + client_frame(b"are you there?", protocol.PING)
        + client_frame(b"", protocol.CONTINUATION, final=False)
        + client_frame("Hé".encode()[2:] + b"llo", protocol.CONTINUATION)
        + client_frame("next")
    )
    expected = [
        (protocol.PING, b"are you there?"),
        (protocol.TEXT, "Héllo"),
        (protocol.TEXT, "next"),
    ]
    assert read(data) == read(*one_by_one(data)) == expected


def test_messages_are_the_same_wherever_the_network_cuts_them() -> None:
    chance = random.Random(7)
    texts = ["é" * chance.choice([0, 1, 62, 63, 64, 200, 499]) for _ in range(200)]
    data = b"".join(client_frame(text) for text in texts)
    for _ in range(20):
        cuts = sorted(chance.sample(range(len(data)), 50))
        chunks = [data[a:b] for a, b in zip([0, *cuts], [*cuts, len(data)], strict=True)]
        assert read(*chunks) == [(protocol.TEXT, text) for text in texts]


START = client_frame("a", final=False)


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (client_frame("x", masked=False), 1002),
        *((client_frame("x", reserved=bits), 1002) for bits in range(1, 8)),
        *((client_frame("x", opcode), 1002) for opcode in (3, 4, 5, 6, 7, 11, 12, 13, 14, 15)),
        (client_frame("x", protocol.CONTINUATION), 1002),
        (START + client_frame("x"), 1002),
        (START + client_frame(b"x", protocol.BINARY), 1002),
        *((client_frame(b"x", kind, final=False), 1002) for kind in (8, 9, 10)),
        *((client_frame(bytes(126), kind), 1002) for kind in (8, 9, 10)),
        (client_frame(b"\xff"), 1007),
        (client_frame(b"\xed\xa0\x80"), 1007),  # half of a surrogate pair
        (client_frame(b"\xc0\x80"), 1007),  # U+0000 written too long
        (client_frame(b"\xc3", final=False) + client_frame(b"", protocol.CONTINUATION), 1007),
        (client_frame(b"", size=LIMIT + 1), 1009),
        (client_frame(b"", size=2**63 - 1), 1009),
        (client_frame(b"", size=2**64 - 1), 1009),
        (START + client_frame(b"", protocol.CONTINUATION, size=LIMIT), 1009),
        (START * 1 + client_frame("b" * 500, 0, final=False) + client_frame("c" * 500, 0), 1009),
    ],
)
def test_what_no_client_may_send_is_refused_with_its_code(data: bytes, code: int) -> None:
    for chunks in ([data], one_by_one(data)):
        with pytest.raises(WebSocketError) as refused:
            read(*chunks)
        assert refused.value.code == code


def test_a_frame_is_refused_by_its_head_before_its_payload_is_there() -> None:
    reader = Reader(LIMIT)
    reader.feed(client_frame(b"", size=LIMIT + 1))
    with pytest.raises(WebSocketError):
        reader.next()


def test_a_message_of_exactly_the_limit_is_read_whole_and_in_fragments() -> None:
    whole = client_frame("x" * LIMIT)
    parts = client_frame("x" * 600, final=False) + client_frame("x" * 400, protocol.CONTINUATION)
    assert read(whole, parts) == [(protocol.TEXT, "x" * LIMIT)] * 2


def test_a_long_message_of_single_bytes_and_empty_fragments_costs_no_more_than_its_length() -> None:
    reader = Reader(1_000_000)
    began = time.process_time()
    reader.feed(START + client_frame(b"", 0, final=False) * 50_000)
    assert reader.next() is None
    for _ in range(50):
        reader.feed(client_frame(b"x", 0, final=False) * 1000)
        assert reader.next() is None
    reader.feed(client_frame(b"", 0))
    message = reader.next()
    assert message is not None
    assert len(message[1]) == 50_001
    # Quadratic work would take minutes.
    assert time.process_time() - began < 10


@pytest.mark.parametrize("code", [1000, 1001, 1002, 1003, 1007, 1009, 1011, 1014, 3000, 4999])
def test_codes_that_may_be_sent_are_read_from_a_close_frame(code: int) -> None:
    made = protocol.close_frame(code, "why")
    assert made[0] == 0x88
    assert protocol.close_code(made[2:]) == code
    assert made[4:] == b"why"


@pytest.mark.parametrize(
    ("payload", "refused_with"),
    [
        (b"\x03", 1002),
        *(
            (code.to_bytes(2, "big"), 1002)
            for code in (0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65_535)
        ),
        (b"\x03\xe8\xff", 1007),
    ],
)
def test_a_bad_close_frame_is_refused(payload: bytes, refused_with: int) -> None:
    with pytest.raises(WebSocketError) as refused:
        protocol.close_code(payload)
    assert refused.value.code == refused_with


def test_a_close_frame_may_be_empty_and_its_reason_is_cut_between_letters() -> None:
    assert protocol.close_code(b"") == 0
    assert protocol.close_frame(0) == b"\x88\x00"
    made = protocol.close_frame(1002, "é" * 100)
    assert len(made) == 2 + 2 + 122
    made[4:].decode()


def compressed(text: str) -> bytes:
    made = protocol.frame(text.encode(), compress=True)
    return made[2:] if made[1] < 126 else made[4:]


def test_the_compressed_message_of_the_rfc_is_read() -> None:
    data = client_frame(bytes.fromhex("f248cdc9c90700"), reserved=4)
    assert read(data, data, compression=True) == [(protocol.TEXT, "Hello")] * 2
    fragments = client_frame(bytes.fromhex("f248cd"), reserved=4, final=False) + client_frame(
        bytes.fromhex("c9c90700"), protocol.CONTINUATION
    )
    assert read(fragments, compression=True) == [(protocol.TEXT, "Hello")]


def test_a_compressed_frame_is_what_zlib_reads() -> None:
    made = protocol.frame(b"list " * 100, compress=True)
    assert made[0] == 0xC1
    assert len(made) < 40
    inflate = zlib.decompressobj(-zlib.MAX_WBITS)
    assert inflate.decompress(made[2:] + b"\x00\x00\xff\xff") == b"list " * 100


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (client_frame(b"\xff\xff", reserved=4), 1007),
        (client_frame(compressed("x" * (LIMIT + 1)), reserved=4), 1009),
        (client_frame(compressed("x" * 500_000), reserved=4), 1009),
        (client_frame(b"", protocol.PING, reserved=4), 1002),
        (START + client_frame(b"", protocol.CONTINUATION, reserved=4), 1002),
        (client_frame(b"", reserved=2), 1002),
    ],
)
def test_bad_compressed_messages_are_refused(data: bytes, code: int) -> None:
    with pytest.raises(WebSocketError) as refused:
        read(data, compression=True)
    assert refused.value.code == code


REQUEST = {
    "REQUEST_METHOD": "GET",
    "HTTP_CONNECTION": "keep-alive, Upgrade",
    "HTTP_UPGRADE": "websocket",
    "HTTP_SEC_WEBSOCKET_VERSION": "13",
    "HTTP_SEC_WEBSOCKET_KEY": "dGhlIHNhbXBsZSBub25jZQ==",
}


def test_the_handshake_of_the_rfc_is_answered() -> None:
    answer, compression = protocol.handshake(REQUEST, compression=True)
    lines = answer.decode().split("\r\n")
    assert lines[0] == "HTTP/1.1 101 Switching Protocols"
    assert "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" in lines
    assert lines[-2:] == ["", ""]
    assert not compression


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"HTTP_UPGRADE": "h2c"}, "426"),
        ({"HTTP_CONNECTION": "keep-alive"}, "426"),
        ({"SERVER_PROTOCOL": "HTTP/1.0"}, "426"),
        ({"CONTENT_LENGTH": "1"}, "400"),
        ({"HTTP_SEC_WEBSOCKET_PROTOCOL": "a,,b"}, "400"),
        ({"HTTP_SEC_WEBSOCKET_PROTOCOL": "a, a"}, "400"),
        ({"HTTP_SEC_WEBSOCKET_PROTOCOL": "a b"}, "400"),
        ({"REQUEST_METHOD": "POST"}, "400"),
        ({"HTTP_SEC_WEBSOCKET_KEY": ""}, "400"),
        ({"HTTP_SEC_WEBSOCKET_KEY": "dGhl"}, "400"),
        ({"HTTP_SEC_WEBSOCKET_KEY": "x" * 24}, "400"),
        ({"HTTP_SEC_WEBSOCKET_KEY": "é"}, "400"),
        ({"HTTP_SEC_WEBSOCKET_VERSION": "8"}, "426"),
        ({"HTTP_SEC_WEBSOCKET_VERSION": ""}, "426"),
    ],
)
def test_a_bad_handshake_is_refused(changes: dict[str, Any], status: str) -> None:
    with pytest.raises(protocol.BadHandshake) as refused:
        protocol.handshake(REQUEST | changes, compression=False)
    assert refused.value.status.startswith(status)
    if status == "426":
        assert ("Sec-WebSocket-Version", "13") in refused.value.headers


def test_the_first_subprotocol_is_taken_for_it_changes_nothing() -> None:
    offered = {"HTTP_SEC_WEBSOCKET_PROTOCOL": "chat.v2, chat.v1"}
    answer, _ = protocol.handshake(REQUEST | offered, compression=False)
    assert b"\r\nSec-WebSocket-Protocol: chat.v2\r\n" in answer


@pytest.mark.parametrize(
    ("offer", "agreed"),
    [
        ("permessage-deflate; client_max_window_bits", True),
        ("permessage-deflate", True),
        ("x-other, permessage-deflate; server_no_context_takeover", True),
        ("permessage-deflate; server_max_window_bits=10", False),
        ("permessage-deflate; server_no_context_takeover; server_max_window_bits=15", True),
        ("permessage-deflate; server_max_window_bits=10, permessage-deflate", True),
        *((f"permessage-deflate; client_max_window_bits={bits}", True) for bits in range(8, 16)),
        ('permessage-deflate; client_max_window_bits="15"', True),
        ("permessage-deflate ;client_no_context_takeover ; server_no_context_takeover", True),
        # What is to be declined (RFC 7692, 7.1): unknown, twice, or with a wrong value.
        ("permessage-deflate; unknown", False),
        ("permessage-deflate; unknown=1, permessage-deflate", True),
        ("permessage-deflate; client_max_window_bits; client_max_window_bits", False),
        ("permessage-deflate; client_no_context_takeover; client_no_context_takeover", False),
        ("permessage-deflate; server_no_context_takeover=1", False),
        ("permessage-deflate; client_no_context_takeover=true", False),
        *(
            (f"permessage-deflate; client_max_window_bits={bits}", False)
            for bits in ("7", "16", "08", "-9", "x", "", '""', "9.5")
        ),
        *(
            (f"permessage-deflate; server_max_window_bits{bits}", False)
            for bits in ("", "=", "=7", "=16", "=015", "=x")
        ),
        ("permessage-deflate=1", False),
        ("permessage-deflate;", False),
        ("permessage-deflate; =", False),
        ("permessage-deflate; a b", False),
        ("permessage_deflate", False),
        ("x-webkit-deflate-frame", False),
        ("", False),
    ],
)
def test_compression_is_agreed_on_only_where_it_can_be_granted(offer: str, agreed: bool) -> None:
    request = REQUEST | {"HTTP_SEC_WEBSOCKET_EXTENSIONS": offer}
    answer, compression = protocol.handshake(request, compression=True)
    assert compression == agreed == (b"permessage-deflate" in answer)
    # Who asks for the window of the server to be limited is told how (7.1.2.1).
    assert (b"server_max_window_bits=15\r\n" in answer) == ("server_max_window_bits=15" in offer)
    assert protocol.handshake(request, compression=False)[1] is False
