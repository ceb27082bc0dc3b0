"""Clients of a Presence server: join a room, and stay in it whatever happens.

`Client` blocks, `AsyncClient` is for asyncio; they have the same names and do the same.
"""

from presence_client.async_client import AsyncClient
from presence_client.bodies import (
    Activity,
    Ban,
    Bans,
    Broadcast,
    BroadcastSent,
    Closing,
    File,
    IceServers,
    Joined,
    Left,
    Peer,
    PeerInFull,
    PeerList,
    Room,
    Signal,
    SignalSent,
    State,
    Stored,
    Watching,
)
from presence_client.client import Client
from presence_client.errors import PresenceError
from presence_client.events import Event

# The package that a server hands out has the server's version here.
__version__ = "0.0.0"

__all__ = [
    "Activity",
    "AsyncClient",
    "Ban",
    "Bans",
    "Broadcast",
    "BroadcastSent",
    "Client",
    "Closing",
    "Event",
    "File",
    "IceServers",
    "Joined",
    "Left",
    "Peer",
    "PeerInFull",
    "PeerList",
    "PresenceError",
    "Room",
    "Signal",
    "SignalSent",
    "State",
    "Stored",
    "Watching",
]
