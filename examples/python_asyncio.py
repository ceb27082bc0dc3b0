"""Joins a room and says who comes and goes, until interrupted: an asyncio program.

pip install clients/python
python examples/python_asyncio.py http://127.0.0.1:3001 demo
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from pathlib import Path

try:
    from presence_client import AsyncClient, Peer, Signal
except ImportError:
    # Started from a copy of the repository, where the client is not installed.
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "clients" / "python"))
    from presence_client import AsyncClient, Peer, Signal


async def main(server: str = "http://127.0.0.1:3001", room: str = "demo") -> None:
    """Stay in the room until interrupted."""
    async with AsyncClient(server, peer_id="asyncio", token=os.environ.get("TOKEN")) as client:

        @client.on("peer_joined")
        def greet(peer: Peer) -> None:
            print(f"{peer['username']} is here", flush=True)

        @client.on("signal")
        async def answer(signal: Signal) -> None:
            if signal["type"] == "question":
                await client.signal(signal["from"], {"echo": signal["data"]}, type="answer")

        await client.join(room, user_data={"role": "helper"})
        await client.update(lambda data: {"visits": data.get("visits", 0) + 1})
        print(f"in “{room}” with {len(client.active_peers)} active", flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(main(*sys.argv[1:3]))
