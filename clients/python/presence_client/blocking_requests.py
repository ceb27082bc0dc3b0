"""What a blocking client does over HTTP: lists of rooms, files, and what an admin does."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from presence_client import bodies
from presence_client.blocking_base import BlockingBase
from presence_client.events import refuse_coroutine
from presence_client.loop_thread import Caller
from presence_client.upload import Flag, Source


class BlockingRequests(BlockingBase):
    """The calls of a blocking client that need no connection, but a token where there are any."""

    def rooms(self) -> dict[str, bodies.Room]:
        """Return every room with its peers, by name; those alone that the token is for."""
        return self._run(self._inner.rooms())

    def room(self, room_name: str | None = None) -> bodies.Room:
        """Return a room with its peers: one's own, or another."""
        return self._run(self._inner.room(room_name))

    def peer(self, peer_id: str, *, room_name: str | None = None) -> bodies.PeerInFull:
        """Return one peer of a room, with what is known of its files."""
        return self._run(self._inner.peer(peer_id, room_name=room_name))

    def activity(self, room_name: str | None = None, *, limit: int = 50) -> bodies.Activity:
        """Return what happened in a room lately."""
        return self._run(self._inner.activity(room_name, limit=limit))

    def upload(
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
        if on_progress is None:
            return self._run(self._inner.upload(file, name=name, abort=abort))
        refuse_coroutine(on_progress, "progress function")
        caller = Caller()
        told = caller.wrap(on_progress)
        upload = self._inner.upload(file, name=name, on_progress=told, abort=abort)
        return self._run(upload, caller)

    def delete_file(self, filename: str, *, room_name: str | None = None) -> bodies.File:
        """Delete an uploaded file of the room, by the name that the server gave it."""
        return self._run(self._inner.delete_file(filename, room_name=room_name))

    def ice_servers(self) -> bodies.IceServers:
        """Return ``iceServers`` for an RTCPeerConnection; credentials last ``ttl`` seconds."""
        return self._run(self._inner.ice_servers())

    def kick(self, peer_id: str, *, room_name: str | None = None) -> bodies.Left:
        """Put a peer out of a room; it may come back. This and the next need an admin's token."""
        return self._run(self._inner.kick(peer_id, room_name=room_name))

    def ban(
        self,
        peer_id: str,
        *,
        seconds: float | None = None,
        reason: str = "",
        room_name: str | None = None,
    ) -> bodies.Ban:
        """Put a peer out of a room and let it not come back, for a time or until `unban`."""
        ban = self._inner.ban(peer_id, seconds=seconds, reason=reason, room_name=room_name)
        return self._run(ban)

    def unban(self, peer_id: str, *, room_name: str | None = None) -> None:
        """Let a banned peer come back."""
        self._run(self._inner.unban(peer_id, room_name=room_name))

    def set_grants(
        self, peer_id: str, grants: Iterable[str] | None, *, room_name: str | None = None
    ) -> bodies.Granted:
        """Let a peer do these things in a room and no others; None: what its token says again."""
        return self._run(self._inner.set_grants(peer_id, grants, room_name=room_name))

    def knocking(self, room_name: str | None = None) -> bodies.Knocking:
        """Return who waits in front of a room. This and the next need a token with ``admit``."""
        return self._run(self._inner.knocking(room_name))

    def admit(self, peer_id: str, *, room_name: str | None = None) -> bodies.Admitted:
        """Let somebody in who waits; raises `PresenceError`: ``not_waiting``, ``room_full``."""
        return self._run(self._inner.admit(peer_id, room_name=room_name))

    def refuse(self, peer_id: str, *, reason: str = "", room_name: str | None = None) -> None:
        """Turn somebody away who waits."""
        self._run(self._inner.refuse(peer_id, reason=reason, room_name=room_name))

    def bans(self, room_name: str | None = None) -> bodies.Bans:
        """Return who is banned from a room, and whether it is closed."""
        return self._run(self._inner.bans(room_name))

    def close_room(
        self, room_name: str | None = None, *, seconds: float | None = None, reason: str = ""
    ) -> bodies.Closing:
        """Put everybody out of a room and let nobody in, for a time or until `reopen_room`."""
        return self._run(self._inner.close_room(room_name, seconds=seconds, reason=reason))

    def reopen_room(self, room_name: str) -> None:
        """Let a closed room be joined again."""
        self._run(self._inner.reopen_room(room_name))
