"""The Socket.IO event ``update_user_data``.

Where the database is another program, what costs most of an update is asking it: so those who come
while one is asked are written together (see `gathering`). It takes what is known of each peer to do
that, and whoever is out of luck goes alone.
"""

from __future__ import annotations

from functools import partial, update_wrapper
from typing import Any, NamedTuple

from presence import errors
from presence.domain.data import peer_data
from presence.domain.data.peer_data import Wish
from presence.domain.peers.results import Updated
from presence.domain.permissions.tokens import UPDATE
from presence.domain.rooms.lists import Known
from presence.storage import database
from presence.transport.events import dispatch
from presence.transport.events.gathering import Gathering
from presence.transport.live.switchboard import Seat
from presence.transport.live.told_versions import Notice
from presence.transport.process.runtime import Runtime
from presence.transport.wire import described, messages, room_responses, serializers
from presence.transport.wire.messages import UpdateUserData
from presence.transport.wire.needs import Need
from presence.transport.wire.serializers import Body

# How many updates are written together at most, and how much data, in bytes about: nobody waits for
# long because others send much.
_MOST_TOGETHER = 64
_MOST_BYTES_TOGETHER = 256 * 1024
# For how long they wait at most for rooms that somebody else of this process holds, who may wait
# for long; who wants something of such a room goes alone.
_PATIENCE_SECONDS = 0.02


class _Seated(NamedTuple):
    """What a socket wants that is in a room."""

    seat: Seat
    wish: Wish
    hints: Body


# What comes of it; None where it has to be done alone.
_Outcome = Body | Exception | None
_Together = Gathering[_Seated, _Outcome]


def init_app(run: Runtime) -> None:
    """Register the event on the runtime's Socket.IO server."""
    together = None
    if run.settings.has_shared_database:
        pause = partial(run.socketio.sleep, 0)
        together = _Together(partial(_update_together, run), _MOST_TOGETHER, pause)
    handler = update_wrapper(partial(on_update_user_data, together), on_update_user_data)
    dispatch.register(run, "update_user_data", handler, Need(UPDATE), in_app=False)


@described.event(
    message=UpdateUserData,
    answer=room_responses.UserDataStored,
    success="update_user_data_success",
    errors=(errors.NotJoined, errors.Conflict, errors.UserDataTooLarge, errors.DatabaseFull),
    heard=("user_data_updated", "peer_list_updated"),
)
def on_update_user_data(together: _Together | None, run: Runtime, sid: str, data: Any) -> Body:
    """Change the peer's user data, announcing it to the others in the room."""
    message = messages.parse_update(data, run.settings.max_user_data_bytes)
    wish = Wish(sid, message.user_data, message.remove, message.replace)
    hints = messages.hinted(data, UpdateUserData)
    seat = run.switchboard.seat(sid)
    if together is not None and seat is not None and message.if_version is None:
        outcome = together.add(_Seated(seat, wish, hints))
        if isinstance(outcome, Exception):
            raise outcome
        if outcome is not None:
            return outcome
    with run.announcer.in_order(seat.room_name if seat else None):
        known = run.room_lists.known(*seat) if seat else None
        with run.app.app_context(), database.writing() as session:
            updated = peer_data.update_of_socket(
                session,
                wish,
                known=(seat.room_name, known) if seat and known else None,
                if_version=message.if_version,
                limits=run.limits,
            )
        (body,) = _tell(run, updated.room_name, [(sid, hints, updated)])
    _mark(run, updated)
    return body


def _update_together(run: Runtime, seated: list[_Seated]) -> list[_Outcome]:
    """Do what several sockets want, as far as their peers are known and their rooms are free."""
    outcomes: dict[int, _Outcome] = dict.fromkeys(range(len(seated)))
    names = {one.seat.room_name for one in seated}
    with run.announcer.locks.free_ones(names, _PATIENCE_SECONDS) as free:
        wanted: dict[int, tuple[Wish, str, Known]] = {}
        size = 0
        for place, (seat, wish, _) in enumerate(seated):
            known = run.room_lists.known(*seat) if seat.room_name in free else None
            if known is not None and size <= _MOST_BYTES_TOGETHER:
                size += len(known.peer.user_data)
                wanted[place] = wish, seat.room_name, known
        if not wanted:
            return list(outcomes.values())
        try:
            with run.app.app_context(), database.writing() as session:
                found = peer_data.update_of_sockets(session, list(wanted.values()), run.limits)
        except database.RowsBusy:
            return list(outcomes.values())
        updates: dict[str, list[tuple[int, Updated]]] = {}
        for place, result in zip(wanted, found, strict=True):
            if isinstance(result, Updated):
                updates.setdefault(result.room_name, []).append((place, result))
            else:
                outcomes[place] = result
        for room_name, done in updates.items():
            whose = [(seated[place].wish.sid, seated[place].hints, one) for place, one in done]
            try:
                bodies: list[Any] = _tell(run, room_name, whose)
            except Exception as error:
                # It is committed: whatever went wrong after that, nobody is to do it once more.
                bodies = [error] * len(done)
            outcomes.update(zip([place for place, _ in done], bodies, strict=True))
    for done in updates.values():
        for _, updated in done:
            _mark(run, updated)
    return list(outcomes.values())


def _tell(run: Runtime, room_name: str, done: list[tuple[str, Body, Updated]]) -> list[Body]:
    """Answer with what was committed and tell the others, with the room in order."""
    bodies, notices = [], []
    for sid, hints, updated in done:
        run.announcer.note(updated.change)
        body = serializers.user_data_success(updated) | hints
        run.sockets.send(sid, "update_user_data_success", body)
        bodies.append(body)
        notices.append(Notice("user_data_updated", serializers.user_data_notice(updated), sid))
    run.announcer.emit_all(notices, room_name)
    return bodies


def _mark(run: Runtime, updated: Updated) -> None:
    run.diary.note(updated)
    run.announcer.mark_change(updated.change, updated.room_name, told=True)
