"""Joins a room, answers every signal, and uploads a note.

pip install clients/python
python examples/python_client.py http://127.0.0.1:3001 demo

A locked server wants a token for the peer "python": set TOKEN.
"""

from __future__ import annotations

import io
import os
import sys
import threading
from pathlib import Path
from typing import Any

try:
    from presence_client import Client, PresenceError
except ImportError:
    # Started from a copy of the repository, where the client is not installed.
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "clients" / "python"))
    from presence_client import Client, PresenceError


def main(server: str = "http://127.0.0.1:3001", room: str = "demo") -> None:
    """Stay in the room until interrupted."""
    with Client(server, peer_id="python", token=os.environ.get("TOKEN")) as client:

        @client.on("signal")
        def answer(signal: dict[str, Any]) -> None:
            if signal["type"] == "question":
                given = client.signal(signal["from"], {"echo": signal["data"]}, type="answer")
                print(f"answered {signal['from']}: {given['status']}", flush=True)

        client.on("peer_joined", lambda peer: print(f"{peer['username']} is here", flush=True))
        client.on("peer_left", lambda peer: print(f"{peer['username']} is away", flush=True))

        client.join(room, user_data={"role": "helper"})
        client.update({"mood": "attentive"})
        file = client.upload(io.BytesIO(b"This note was written by Python.\n"), name="note.txt")
        print(f"the note is at {file['file_url']}", flush=True)
        try:
            client.signal("nobody", {})
        except PresenceError as error:
            print(f"{error.code}: {error.detail}", flush=True)
        threading.Event().wait()


if __name__ == "__main__":
    main(*sys.argv[1:3])
