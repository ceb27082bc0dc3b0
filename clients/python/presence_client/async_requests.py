"""What an asyncio client does over HTTP: lists of rooms, files, and what an admin does."""

from __future__ import annotations

import inspect
import io
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import IO, Any, cast

from presence_client import bodies
from presence_client.async_base import AsyncBase
from presence_client.bodies import Body
from presence_client.rest import ROOMS, room_path
from presence_client.upload import Flag, Source, name_of


class AsyncRequests(AsyncBase):
    """The calls of an asyncio client that need no connection, but a token where there are any."""

    async def rooms(self) -> dict[str, bodies.Room]:
        """Return every room with its peers, by name; those alone that the token is for."""
        return await self._until_closed(self._rest.get(ROOMS))

    async def room(self, room_name: str | None = None) -> bodies.Room:
        """Return a room with its peers: one's own, or another."""
        path = room_path(self._room(room_name))
        return cast(bodies.Room, await self._until_closed(self._rest.get(path)))

    async def peer(self, peer_id: str, *, room_name: str | None = None) -> bodies.PeerInFull:
        """Return one peer of a room, with what is known of its files."""
        path = room_path(self._room(room_name), "peers", peer_id)
        return cast(bodies.PeerInFull, await self._until_closed(self._rest.get(path)))

    async def activity(self, room_name: str | None = None, *, limit: int = 50) -> bodies.Activity:
        """Return what happened in a room lately."""
        path = room_path(self._room(room_name), "activity")
        answer = self._rest.get(path, {"limit": str(limit)})
        return cast(bodies.Activity, await self._until_closed(answer))

    async def upload(
        self,
        file: Source,
        *,
        name: str | None = None,
        on_progress: Callable[[int, int], object] | None = None,
        abort: Flag | None = None,
    ) -> bodies.File:
        """Upload a file: its path, its bytes, or open for reading; returns what became of it.

        `on_progress(sent, total)` counts bytes; setting `abort`, an Event, makes it raise
        (``aborted``).
        """
        room_name, name = self._room(None), name or name_of(file)
        if isinstance(file, bytes):
            return await self._upload(room_name, name, io.BytesIO(file), on_progress, abort)
        if not isinstance(file, str) and hasattr(file, "read"):
            return await self._upload(room_name, name, cast("IO[bytes]", file), on_progress, abort)
        with Path(cast(str, file)).open("rb") as opened:
            return await self._upload(room_name, name, opened, on_progress, abort)

    async def delete_file(self, filename: str, *, room_name: str | None = None) -> bodies.File:
        """Delete an uploaded file of the room, by the name that the server gave it."""
        path = room_path(self._room(room_name), "files", filename)
        return cast(bodies.File, await self._until_closed(self._rest.delete(path)))

    async def ice_servers(self) -> bodies.IceServers:
        """Return ``iceServers`` for an RTCPeerConnection; credentials last ``ttl`` seconds."""
        query = {"room_name": self._room(None), "peer_id": self.peer_id}
        answer = self._rest.get("/api/webrtc/ice-servers", query)
        return cast(bodies.IceServers, await self._until_closed(answer))

    async def kick(self, peer_id: str, *, room_name: str | None = None) -> bodies.Left:
        """Put a peer out of a room; it may come back. This and the next need an admin's token."""
        answer = self._moderate(room_name, "peers", peer_id, "kick")
        return cast(bodies.Left, await answer)

    async def ban(
        self,
        peer_id: str,
        *,
        seconds: float | None = None,
        reason: str = "",
        room_name: str | None = None,
    ) -> bodies.Ban:
        """Put a peer out of a room and let it not come back, for a time or until `unban`."""
        answer = self._moderate(
            room_name, "peers", peer_id, "ban", seconds=seconds, reason=reason or None
        )
        return cast(bodies.Ban, await answer)

    async def unban(self, peer_id: str, *, room_name: str | None = None) -> None:
        """Let a banned peer come back."""
        await self._moderate(room_name, "peers", peer_id, "unban")

    async def set_grants(
        self, peer_id: str, grants: Iterable[str] | None, *, room_name: str | None = None
    ) -> bodies.Granted:
        """Let a peer do these things in a room and no others; None: what its token says again."""
        path = room_path(self._room(room_name), "peers", peer_id, "grants")
        message = {"grants": None if grants is None else list(grants)}
        return cast(bodies.Granted, await self._until_closed(self._rest.post(path, message)))

    async def knocking(self, room_name: str | None = None) -> bodies.Knocking:
        """Return who waits in front of a room. This and the next need a token with ``admit``."""
        path = room_path(self._room(room_name), "knocking")
        return cast(bodies.Knocking, await self._until_closed(self._rest.get(path)))

    async def admit(self, peer_id: str, *, room_name: str | None = None) -> bodies.Admitted:
        """Let somebody in who waits; raises `PresenceError`: ``not_waiting``, ``room_full``."""
        answer = self._moderate(room_name, "knocking", peer_id, "admit")
        return cast(bodies.Admitted, await answer)

    async def refuse(self, peer_id: str, *, reason: str = "", room_name: str | None = None) -> None:
        """Turn somebody away who waits."""
        await self._moderate(room_name, "knocking", peer_id, "refuse", reason=reason)

    async def bans(self, room_name: str | None = None) -> bodies.Bans:
        """Return who is banned from a room, and whether it is closed."""
        path = room_path(self._room(room_name), "bans")
        return cast(bodies.Bans, await self._until_closed(self._rest.get(path)))

    async def close_room(
        self, room_name: str | None = None, *, seconds: float | None = None, reason: str = ""
    ) -> bodies.Closing:
        """Put everybody out of a room and let nobody in, for a time or until `reopen_room`."""
        answer = self._moderate(room_name, "close", seconds=seconds, reason=reason or None)
        return cast(bodies.Closing, await answer)

    async def reopen_room(self, room_name: str) -> None:
        """Let a closed room be joined again."""
        await self._moderate(room_name, "reopen")

    async def _moderate(self, room_name: str | None, *path: str, **message: Any) -> Body:
        given = {key: value for key, value in message.items() if value is not None}
        answer = self._rest.post(room_path(self._room(room_name), *path), given)
        return await self._until_closed(answer)

    async def _upload(
        self,
        room_name: str,
        name: str,
        file: IO[bytes],
        on_progress: Callable[[int, int], object] | None,
        abort: Flag | None,
    ) -> bodies.File:
        async def progress(sent: int, total: int) -> None:
            told = None if on_progress is None else on_progress(sent, total)
            if inspect.isawaitable(told):
                await told

        fields = {"room_name": room_name, "peer_id": self.peer_id}
        answer = self._rest.upload("/api/webrtc/upload", fields, (name, file), progress, abort)
        return cast(bodies.File, await self._until_closed(answer))
