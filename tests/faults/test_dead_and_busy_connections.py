"""Clients that freeze, stall or do not read: found in time, and nobody else notices."""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import requests

from local_cluster.live_server import LiveServer
from local_cluster.waiting import eventually
from tests.faults.silent_peers import FOUND_WITHIN, joining
from tests.support.clients import events, shows
from tests.support.raw_socket import RawSocket

NewServer = Callable[..., LiveServer]
Connect = Callable[..., Any]


def test_frozen_clients_are_inactive_within_twelve_seconds_and_stalled_ones_stay(
    new_server: NewServer, connect: Connect
) -> None:
    server = new_server()
    watcher = connect(server)
    watcher.call("join_room", joining("watcher"))
    clients = {}
    for name, transport in (("socket", "websocket"), ("poll", "polling"), ("stall", "websocket")):
        clients[name] = connect(server, "javascript", [transport])
        clients[name].call("join_room", joining(name))
        shows(watcher, name, is_active=True)
    frozen = time.monotonic()
    for client in clients.values():
        os.kill(client.pid, signal.SIGSTOP)
    eventually(lambda: time.monotonic() > frozen + 4, "a stall of four seconds")
    os.kill(clients["stall"].pid, signal.SIGCONT)
    for name in ("socket", "poll"):
        shows(watcher, name, is_active=False, seconds=FOUND_WITHIN - (time.monotonic() - frozen))
    shows(watcher, "stall", is_active=True)
    was_dropped = [
        body
        for body in events(watcher, "peer_list_updated")
        for peer in body["peers"]
        if peer["peer_id"] == "stall" and not peer["is_active"]
    ]
    assert was_dropped == []
    for client in clients.values():
        os.kill(client.pid, signal.SIGCONT)


def test_a_server_that_stalls_for_four_seconds_loses_nobody(
    new_server: NewServer, connect: Connect
) -> None:
    server = new_server()
    clients = [connect(server, "javascript", [kind]) for kind in ("websocket", "polling")]
    for number, client in enumerate(clients):
        client.call("join_room", joining(f"p{number}"))
    version = requests.get(f"{server.url}/api/webrtc/rooms/r", timeout=10).json()["version"]
    for _ in range(2):
        # A client gives up ten seconds after the last ping, which come every five: a stall that
        # begins just before one leaves a busy machine a second to go on in.
        pings = [client.pings for client in clients]
        eventually(
            lambda pings=pings: all(c.pings > n for c, n in zip(clients, pings, strict=True)),  # type: ignore[misc]
            "both were pinged",
        )
        server.signal(signal.SIGSTOP)
        stopped = time.monotonic()
        eventually(lambda stopped=stopped: time.monotonic() > stopped + 4, "four seconds")  # type: ignore[misc]
        server.signal(signal.SIGCONT)
        assert clients[0].call("update_user_data", {"user_data": {}})["ok"]
    room = requests.get(f"{server.url}/api/webrtc/rooms/r", timeout=10).json()
    assert (room["active_peer_count"], room["version"]) == (2, version + 2)


def test_a_server_that_froze_for_twenty_seconds_gets_its_clients_back(
    new_server: NewServer, connect: Connect
) -> None:
    server = new_server()
    client = connect(server, "javascript")
    client.call("join_room", joining("a"))
    server.signal(signal.SIGSTOP)
    stopped = time.monotonic()
    eventually(lambda: time.monotonic() > stopped + 20, "twenty seconds", 30)
    server.signal(signal.SIGCONT)

    def is_back() -> bool:
        room = requests.get(f"{server.url}/api/webrtc/rooms/r", timeout=10).json()
        return bool(client.connected and room["peers"][0]["session_count"] == 1)

    eventually(is_back, "the client is back by itself, once", 25)
    assert client.call("update_user_data", {"user_data": {}})["ok"]


def test_a_reader_that_stops_reading_is_closed_and_the_others_do_not_notice(
    new_server: NewServer, connect: Connect
) -> None:
    server = new_server(PRESENCE_PING_TIMEOUT=60)  # so that it is not found by its silence first
    deaf = RawSocket(server, receive_buffer=4096)
    deaf.send('42["join_room",{"room_name":"r","peer_id":"deaf","username":"Deaf"}]')
    writers = [connect(server, "python", ["websocket"]) for _ in range(2)]
    for number, writer in enumerate(writers):
        writer.call("join_room", joining(f"w{number}"))
    shows(writers[0], "deaf", is_active=True)
    memory_before = server.memory()

    def write(number: int) -> float:
        slowest = 0.0
        for step in range(150):
            began = time.monotonic()
            answer = writers[number].call(
                "update_user_data", {"user_data": {"x": f"{step:04}" * 3000}}
            )
            assert answer["ok"]
            slowest = max(slowest, time.monotonic() - began)
            # After a while with and without it, more of the same would show nothing else.
            if step > 20 and "its client does not read" in server.log_text():
                break
        return slowest

    with ThreadPoolExecutor(len(writers)) as pool:
        assert max(pool.map(write, range(len(writers)))) < 5
    shows(writers[0], "deaf", is_active=False)
    assert "its client does not read" in server.log_text()
    assert server.memory() - memory_before < 64 * 1024 * 1024
    assert all(writer.connected for writer in writers)
    deaf.close()


@pytest.mark.parametrize("mode", ["eventlet", "threading"])
def test_a_request_that_says_it_is_too_long_holds_up_nobody(
    new_server: NewServer, mode: str
) -> None:
    server = new_server(mode)
    held = []
    for _ in range(20):
        opened = requests.get(f"{server.url}/socket.io/?EIO=4&transport=polling", timeout=10).text
        sid = opened.split('"sid":"')[1].split('"')[0]
        connection = socket.create_connection(("127.0.0.1", server.port))
        connection.sendall(
            f"POST /socket.io/?EIO=4&transport=polling&sid={sid} HTTP/1.1\r\n"
            f"Host: x\r\nContent-Length: 5000000\r\n\r\n".encode()
        )
        held.append(connection)
    for connection in held:
        connection.close()
    assert requests.get(f"{server.url}/api/webrtc/rooms", timeout=10).ok


def test_a_polling_request_that_is_too_long_or_garbage_is_answered(server: LiveServer) -> None:
    for body, status, code in (
        (b"4" * 1_000_001, 413, "message_too_large"),
        *((body, 400, "packets_unreadable") for body in (b"\xff\xfe", b"bAAA", b"x")),
    ):
        opened = requests.get(f"{server.url}/socket.io/?EIO=4&transport=polling", timeout=10).text
        sid = opened.split('"sid":"')[1].split('"')[0]
        answer = requests.post(
            f"{server.url}/socket.io/?EIO=4&transport=polling&sid={sid}", data=body, timeout=10
        )
        assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert "Traceback" not in server.log_text()


def test_binary_attachments_cannot_be_piled_up(server: LiveServer, connect: Connect) -> None:
    raw = RawSocket(server)
    raw.send('45999999999-1["join_room"]')
    assert "invalid_json" in raw.receive()
    assert raw.receive().startswith("431[")
    # Whoever announces so many may send nothing else before them.
    raw.send('42["leave_room"]')
    while text := raw.receive():
        assert text in {"1", "41"}
    raw = RawSocket(server)
    raw.send('450-1["leave_room"]')
    assert "not_joined" in raw.receive()
    raw.close()
