"""A fork after joining: the child's copy is closed for the child, and the parent's lives on."""

from __future__ import annotations

import subprocess
import sys

import pytest
import requests

from .support import ROOT, LiveServer, eventually

BLOCKING = """
import os, signal, sys, time
from presence_client import Client, PresenceError

url, room = sys.argv[1:]
client = Client(url, peer_id="ada")
spare = Client(url, peer_id="child")
client.join(room)
client.rooms()
heard = []
client.on("signal", heard.append)
child = os.fork()
if child == 0:
    signal.alarm(20)
    assert client.state == "closed" and client.room_name is None
    for call in (client.rooms, client.leave, lambda: client.join(room)):
        try:
            call()
        except PresenceError as error:
            assert error.code == "closed", error.code
        else:
            raise AssertionError("a call on the copy")
    client.close()
    # A client that had not begun is the child's own.
    spare.join(room)
    spare.close()
    sys.exit(7)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
assert client.signal("ada", 1)["status"] == "delivered"
client.wait_for(lambda c: c.state == "joined")
assert [peer["session_count"] for peer in client.room()["peers"] if peer["is_active"]] == [1]
deadline = time.monotonic() + 5
while not heard and time.monotonic() < deadline:
    time.sleep(0.01)
assert heard
client.close()
print("well")
"""

ASYNCIO = """
import asyncio, os, signal, sys
from presence_client import AsyncClient, PresenceError

async def main(url, room):
    async with AsyncClient(url, peer_id="ada") as client:
        await client.join(room)
        child = os.fork()
        if child == 0:
            signal.alarm(20)
            assert client.state == "closed"
            # The child has no part in its parent's loop; it may have one of its own.
            os._exit(asyncio.run(of_child(client, url, room)))
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
        assert (await client.signal("ada", 1))["status"] == "delivered"
        assert client.state == "joined"
    print("well")

async def of_child(client, url, room):
    await client.close()
    try:
        await client.join(room)
    except PresenceError as error:
        assert error.code == "closed"
    async with AsyncClient(url, peer_id="child") as own:
        await own.join(room)
    return 7

asyncio.run(main(*sys.argv[1:]))
"""

POOL = """
import multiprocessing, sys
from presence_client import Client

def work(number):
    return number * 2

url, room = sys.argv[1:]
with Client(url, peer_id="ada") as client:
    client.join(room)
    with multiprocessing.get_context("fork").Pool(3) as pool:
        assert pool.map(work, range(9)) == [n * 2 for n in range(9)]
    assert client.update({"done": True})["user_data"] == {"done": True}
    assert client.state == "joined"
print("well")
"""

# A parent that ends without a word while its child lives on: the connection must end with it.
ORPHAN = """
import os, sys, time
from presence_client import Client

url, room = sys.argv[1:]
client = Client(url, peer_id="ada")
client.join(room)
if os.fork() == 0:
    sys.stdout.close()
    time.sleep(15)
    os._exit(0)
print("well", flush=True)
os._exit(0)
"""


def run(script: str, server: LiveServer, room: str) -> None:
    """Run a program that forks; it says “well” when all of it was as it should be."""
    ended = subprocess.run(
        [sys.executable, "-c", script, server.url, room],
        env={"PYTHONPATH": str(ROOT / "clients" / "python")},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.stdout.strip() == "well", ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize("script", [BLOCKING, ASYNCIO, POOL], ids=["blocking", "asyncio", "pool"])
def test_a_child_process_leaves_its_parents_connection_alone(
    open_server: LiveServer, room: str, script: str
) -> None:
    run(script, open_server, room)


def test_a_child_process_does_not_hold_its_parents_connection_open(
    open_server: LiveServer, room: str
) -> None:
    def is_active() -> bool:
        answer = requests.get(f"{open_server.url}/api/webrtc/rooms/{room}", timeout=10).json()
        return any(peer["is_active"] for peer in answer["peers"])

    run(ORPHAN, open_server, room)
    eventually(lambda: not is_active(), "the parent is gone", 4)
