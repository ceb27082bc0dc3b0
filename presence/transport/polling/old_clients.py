"""What clients of the protocol before this one are told, in words that they show.

socket.io-client 1 and 2 and python-socketio 4 speak version 3 of Engine.IO, in which a payload is a
row of packets, each after its length, and an error of Socket.IO is a string. Whatever else they are
answered they report as a failed poll, without a reason.
"""

from __future__ import annotations

import json

VERSION = "3"

# In ASCII, because versions of the protocol differ in how they count other letters.
SENTENCE = (
    "This server speaks version 4 of the Engine.IO protocol: use socket.io-client 3 or newer, or "
    "python-socketio 5 or newer."
)
# An answer to any further request of the connection that there never was.
CLOSE = "1:1"

_OPEN = {"sid": "use-a-newer-client", "upgrades": [], "pingInterval": 25_000, "pingTimeout": 60_000}


def packets(sentence: str = SENTENCE) -> list[str]:
    """Return the packets that tell an old client a sentence, after which it stays away.

    An error is shown only by a client that is open; one that is disconnected by the server does not
    come back by itself, unlike one whose connection is closed.
    """
    return ["0" + json.dumps(_OPEN), "44" + json.dumps(sentence), "41", "1"]


def payload(of: list[str]) -> str:
    """Return packets as the answer to a poll (Engine.IO protocol 3, "Payload")."""
    return "".join(f"{len(packet)}:{packet}" for packet in of)
