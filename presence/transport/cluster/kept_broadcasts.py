"""Kept broadcasts as they are told: each once to each socket of this process, and in their order.

The database gives them their numbers. What this process has told of a room goes up to one of them;
what comes with the next is told as it is, and where one is missing in between, because another
process was slower, was killed, or could not be heard, it is read. Whoever comes in, or comes back,
gets what it missed up to there, within the same order of the room.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson
from flask import Flask

from presence.domain.rooms import broadcasts
from presence.domain.rooms.broadcasts import Kept, Missed, Said
from presence.domain.rooms.quotas import Quotas
from presence.domain.values import clock
from presence.errors import BroadcastsNotKept, RoomNotFound
from presence.storage import database
from presence.transport.engine import packets
from presence.transport.engine.multicast import send_to_all
from presence.transport.engine.sockets import Sockets
from presence.transport.live.announcer import Announcer
from presence.transport.live.channels import channel
from presence.transport.wire import serializers
from presence.transport.wire.serializers import Body

# What one answer brings at most of what was missed: far below what may wait for one connection.
MOST_AT_ONCE = 200
MOST_BYTES_AT_ONCE = 256 * 1024


class KeptBroadcasts:
    """The kept broadcasts of the rooms in which sockets of this process are.

    `most` is how many a room keeps; with 0 there are none, and nothing here costs anything.
    """

    def __init__(self, app: Flask, sockets: Sockets, announcer: Announcer, most: int) -> None:
        self._app = app
        self._sockets = sockets
        self._announcer = announcer
        self._most = most
        # Up to which number the sockets here were told, by room.
        self._told: dict[str, int] = {}
        # Lets other workers tell their sockets: the room, and the broadcast.
        self.tell_others: Callable[[str, Kept], None] | None = None

    @property
    def is_on(self) -> bool:
        """Whether this server keeps broadcasts."""
        return self._most > 0

    def keep(self, session: Any, room_name: str, said: Said, allowed: Quotas) -> Kept:
        """Keep a broadcast in a transaction; `tell` it when that was committed.

        To be called within the room's order. Raises `BroadcastsNotKept`, `RoomNotFound` or a quota.
        """
        if not self.is_on:
            raise BroadcastsNotKept
        return broadcasts.keep(
            session, room_name, said, clock.now(), most=self._most, allowed=allowed
        )

    def tell(self, room_name: str, kept: Kept) -> None:
        """Tell a broadcast that was committed, here and on every worker.

        To be called within the room's order.
        """
        if kept.number <= self._told.get(room_name, 0):
            # The database went back to an earlier state.
            self._told[room_name] = kept.number - 1
        self._go_on(room_name, kept.number, kept)
        if self.tell_others is not None:
            self.tell_others(room_name, kept)

    def hear(self, room_name: str, kept: Kept) -> None:
        """Tell a broadcast that another worker has kept."""
        with self._app.app_context(), self._announcer.in_order(room_name):
            self._go_on(room_name, kept.number, kept)

    def look(self, room_name: str, number: int | None) -> Missed | None:
        """Return what whoever has heard up to a number has missed; None where nothing is kept.

        To be called within the room's order, before the socket hears the room, and followed by
        `tell_missed`. Without a number it is only seen how far the room has come. Raises
        `RoomNotFound`.
        """
        if not self.is_on:
            return None
        with database.reading() as session:
            missed = broadcasts.since(
                session,
                room_name,
                2**63 - 1 if number is None else number,
                most=MOST_AT_ONCE,
                most_bytes=MOST_BYTES_AT_ONCE,
            )
        if self._told.setdefault(room_name, missed.last) > missed.last:
            self._told[room_name] = missed.last  # it went back
        self._go_on(room_name, missed.last)
        return missed

    def tell_missed(self, sid: str, room_name: str, number: int, missed: Missed) -> Body:
        """Tell a socket what it has missed since a number, and then up to where that goes.

        Returns what is told at the end. What the socket has said itself is left out.
        """
        for kept in missed.kept:
            if kept.session != sid:
                body = {**_body(room_name, kept), "replayed": True}
                self._sockets.send(sid, "broadcast", body)
        is_complete = missed.gone <= number <= missed.last
        ends_at = missed.kept[-1].number if missed.more else missed.last
        body = {
            "room_name": room_name,
            "since": number,
            "last": ends_at,
            "complete": is_complete,
            "from": number + 1 if is_complete else min(missed.gone, missed.last) + 1,
            "more": missed.more,
        }
        self._sockets.send(sid, "broadcasts_caught_up", body)
        return body

    def catch_up(self) -> None:
        """Tell what a crash or a lost message has swallowed; forget rooms without sockets here."""
        for name in self._told.keys() - self._announcer.rooms_here():
            # Who is just coming in has looked already, and hears the room in a moment.
            with self._announcer.in_order(name):
                if name not in self._announcer.rooms_here():
                    self._told.pop(name, None)
        if not self._told:
            return
        with self._app.app_context():
            with database.reading() as session:
                lasts = broadcasts.lasts(session, list(self._told))
            for name, last in lasts.items():
                if self._told.get(name, last) < last:
                    with self._announcer.in_order(name):
                        self._go_on(name, last)

    def _go_on(self, room_name: str, number: int, kept: Kept | None = None) -> None:
        """Tell the sockets here all up to a number, which is that of `kept` if it is given."""
        told = self._told.get(room_name)
        if told is None or number <= told:
            return  # nobody here wants to know, or has heard it already
        if kept is not None and number == told + 1:
            self._told[room_name] = number
            self._send(room_name, kept)
            return
        while True:
            try:
                with database.reading() as session:
                    missed = broadcasts.since(
                        session,
                        room_name,
                        told,
                        most=MOST_AT_ONCE,
                        most_bytes=MOST_BYTES_AT_ONCE,
                    )
            except RoomNotFound:
                return
            for one in missed.kept:
                self._told[room_name] = told = one.number
                self._send(room_name, one)
            if not missed.more:
                self._told[room_name] = missed.last
                return

    def _send(self, room_name: str, kept: Kept) -> None:
        """Send a broadcast to everybody here who is in the room, but for who has said it."""
        server = self._sockets.server
        participants = server.manager.get_participants("/", channel(room_name))
        eio_sids = [eio_sid for sid, eio_sid in participants if sid != kept.session]
        send_to_all(server.eio, eio_sids, packets.event("broadcast", _body(room_name, kept)))


def _body(room_name: str, kept: Kept) -> Body:
    from_server: Body = {"from_server": True, "name": kept.name} if kept.peer_id is None else {}
    return {
        "from": kept.peer_id,
        "from_session": kept.session,
        **from_server,
        "room_name": room_name,
        "event": kept.event,
        "data": orjson.Fragment(kept.data),
        "id": kept.number,
        "sent_at": serializers.timestamp(kept.at),
    }
