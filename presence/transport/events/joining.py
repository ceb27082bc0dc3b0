"""The Socket.IO events ``join_room`` and ``leave_room``, and what happens when a socket is lost."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from functools import partial
from typing import Any

from sqlalchemy.orm import Session

from presence import errors
from presence.domain.peers import lobbies, passwords, peers, recovery, sessions
from presence.domain.peers.recovery import Told
from presence.domain.peers.results import Joined
from presence.domain.peers.sessions import SocketPresence
from presence.domain.permissions.tokens import JOIN
from presence.domain.rooms.rooms import Maker
from presence.storage import database
from presence.transport.admission import socket_access
from presence.transport.admission.client_addresses import address_of
from presence.transport.admission.error_handlers import as_presence_error, is_passing
from presence.transport.events import dispatch
from presence.transport.live.room_makers import maker_of
from presence.transport.process import erasing
from presence.transport.process.runtime import Runtime
from presence.transport.wire import described, messages, room_list, room_responses, serializers
from presence.transport.wire.messages import JoinRoom
from presence.transport.wire.needs import Need
from presence.transport.wire.serializers import Body

log = logging.getLogger(__name__)


def init_app(run: Runtime) -> None:
    """Register the events on the runtime's Socket.IO server."""
    for name in ("join_room", "join"):
        dispatch.register(run, name, on_join_room, Need(JOIN, acts=True), event="join_room")
    for name in ("leave_room", "leave"):
        dispatch.register(run, name, on_leave_room, Need(JOIN), event="leave_room")
    run.socketio.server.on("disconnect", partial(on_disconnect, run))
    run.lobby.join_again = partial(_join_again, run)


@described.event(
    message=JoinRoom,
    answer=room_responses.Joined,
    success="join_room_success",
    errors=(
        errors.RoomFull,
        errors.RoomClosed,
        errors.RoomNotMade,
        errors.PasswordWanted,
        errors.WrongPassword,
        errors.TooManyWrongPasswords,
        errors.TooManyGuesses,
        errors.Banned,
        errors.Waiting,
        errors.AdmissionRefused,
        errors.LobbyFull,
        errors.WrongPeer,
        errors.TooManyRooms,
        errors.TooManyRoomsMade,
        errors.UserDataTooLarge,
        errors.DatabaseFull,
        errors.ShuttingDown,
    ),
    heard=("peer_list_updated",),
)
def on_join_room(run: Runtime, sid: str, data: Any) -> Body:
    """Join a room, announcing the peer to everyone in it."""
    message = messages.parse(JoinRoom, data, run.settings.max_user_data_bytes)
    run.refuse_when_stopping()
    hinted = messages.hinted(data, JoinRoom)
    grants = run.access.of(sid) if run.access.is_locked else None
    try:
        body = run.passwords.passing(
            message.password,
            address_of(run.sockets.request_of(sid)),
            partial(_join, run, sid, message, hinted),
            passwords.UNASKED if grants is not None and grants.is_admin else None,
        )
    except lobbies.MustWait:
        _knock(run, sid, message, data)
        raise errors.Waiting(message.room_name) from None
    if run.access.is_locked:
        _stop_waiting(run, sid)
        run.lobby.greet(sid, message.room_name)
    return body


def _join(run: Runtime, sid: str, message: JoinRoom, hinted: Body, passed: str | None) -> Body:
    told = Told(message.updates == "delta", message.states, message.data_notices)
    with run.announcer.in_order(message.room_name, run.members.room_of(sid)):
        with run.blobs.deletion() as withdraw, database.writing() as session:
            joined = peers.join(
                session,
                room_name=message.room_name,
                peer_id=message.peer_id,
                username=message.username,
                new_data=message.user_data,
                presence=SocketPresence(
                    sid, run.worker_id, is_new=run.members.room_of(sid) is None
                ),
                limits=run.limits,
                maker=_maker(run, sid),
                passed=passed,
                enters=not run.access.is_locked or run.access.of(sid).enters,
            )
            _offer_recovery(run, session, sid, told)
            withdraw(joined.erased.stored_names)
        run.announcer.note(joined.change)
        with _looked_after(run):
            erasing.note_erased(run, joined.room_name, joined.erased)
            body = _answer_join(
                run, sid, joined, told, hinted=hinted, since_broadcast=message.since_broadcast
            )
    with _looked_after(run):
        _announce_join(run, sid, joined)
    return body


def _knock(run: Runtime, sid: str, message: JoinRoom, data: Any) -> None:
    """Let a socket wait to be admitted to a room."""
    try:
        run.lobby.knock(message, SocketPresence(sid, run.worker_id), most=run.settings.max_waiting)
    except errors.AdmissionRefused:
        run.lobby.forget(sid)
        raise
    run.lobby.wait(sid, message.room_name, data)
    if not run.sockets.is_connected(sid):
        # The connection was lost meanwhile, and its disconnect found nobody who waits.
        _stop_waiting(run, sid)
    run.lobby.changed(message.room_name)


def _stop_waiting(run: Runtime, sid: str, *, is_lost: bool = False) -> None:
    """Let a socket wait no more that has left, has joined something, or is lost.

    One that is lost may have been admitted without having heard of it: its session ends.
    """
    room_name = run.lobby.forget(sid)
    if room_name is None:
        return
    ended = None
    with run.announcer.in_order(room_name):
        with database.writing(upkeep=True) as session:
            lobbies.withdraw(session, room_name, sid)
            if is_lost:
                ended = sessions.end_socket(session, sid)
        if ended is not None:
            run.announcer.note(ended.change)
    if ended is not None:
        run.announcer.mark_change(ended.change, ended.room_name)
    run.lobby.changed(room_name)


def _join_again(run: Runtime, sid: str, message: Body) -> None:
    """Make the join of a socket that waits no more, which it did not ask for just now."""
    try:
        on_join_room(run, sid, message)
    except Exception as exception:
        error = as_presence_error(exception, event="join_room", sid=sid)
        run.sockets.send(sid, "join_room_error", error.body())


def put_back(run: Runtime, sid: str, secret: str, greet: Callable[[], None]) -> bool:
    """Give a socket that shows a secret the place of the one it was given to, if it still can be.

    `greet` completes its connection, which gives it its next secret: the one it showed is of no use
    to it from then on. So where this fails only for the moment, False is returned and it is not
    greeted; it is to be closed, and comes back with the secret that it has. The client did not ask
    for its place in an event of its own, so a refusal comes as ``join_room_error``.
    """
    is_greeted = False
    with run.app.app_context():
        try:
            with database.reading() as session:
                place = recovery.find(session, secret)
            if place is None:
                greet()
                return True
            socket_access.check_place(run.access, sid, place.room_name, place.peer_id)
            with run.announcer.in_order(place.room_name):
                with database.writing(upkeep=True) as session:
                    presence = SocketPresence(sid, run.worker_id, is_new=True)
                    joined = peers.resume(session, secret, presence, run.limits)
                    if joined is not None:
                        _offer_recovery(run, session, sid, place.told)
                greet()
                is_greeted = True
                if joined is None:
                    return True
                with _looked_after(run):
                    _answer_join(run, sid, joined, place.told)
            run.secrets.await_sign_of(sid)
            with _looked_after(run):
                _announce_join(run, sid, joined)
        except Exception as exception:
            error = as_presence_error(exception, event="connect", sid=sid)
            if not is_greeted:
                if is_passing(error):
                    return False
                greet()
            run.sockets.send(sid, "join_room_error", error.body())
    return True


@described.event(
    message=None,
    answer=room_responses.Left,
    success="leave_room_success",
    errors=(errors.NotJoined,),
    heard=("peer_list_updated",),
)
def on_leave_room(run: Runtime, sid: str, _data: Any) -> Body:
    """Leave the room; the peer is shown as inactive unless another socket stands for it."""
    _stop_waiting(run, sid)
    room_name = run.members.room_of(sid)
    with run.announcer.in_order(room_name):
        with database.writing(upkeep=True) as session:
            left = peers.leave_socket(session, sid, room_name)
        run.announcer.note(left.change)
        run.members.exit([sid], left.room_name)
        body = serializers.left(left, reason="left")
        run.sockets.send(sid, "leave_room_success", body)
    run.announcer.mark_change(left.change, left.room_name)
    return body


def on_disconnect(run: Runtime, sid: str, reason: str) -> None:
    """End the presence of a socket that was closed or lost; signals wait for a lost one only."""
    run.counters.disconnects[run.sockets.evicted_for(sid) or reason] += 1
    lost = reason != run.socketio.server.reason.CLIENT_DISCONNECT
    room_name = run.members.room_of(sid)
    if lost:
        run.switchboard.lost(sid)
    else:
        run.switchboard.leave(sid)
    run.secrets.forget(sid)
    run.unused.add_socketless(sid)
    run.access.forget(sid)
    run.announcer.forget(sid)
    run.states.gone(sid)
    with run.app.app_context():
        if room_name is not None:
            _end_socket(run, sid, room_name, lost=lost)
        with _looked_after(run):
            _stop_waiting(run, sid, is_lost=True)


def _maker(run: Runtime, sid: str) -> Maker | None:
    """Return against whom a room is counted that a socket makes."""
    grants = run.access.of(sid) if run.access.is_locked else None
    return maker_of(run.settings, grants, run.sockets.request_of(sid))


def _offer_recovery(run: Runtime, session: Session, sid: str, told: Told) -> None:
    """Keep the secret that the socket was given when it connected, for when it comes back."""
    secret = run.secrets.of(sid)
    if secret is not None:
        recovery.offer(session, sid, secret, told)


def _answer_join(
    run: Runtime,
    sid: str,
    joined: Joined,
    told: Told,
    *,
    hinted: Body | None = None,
    since_broadcast: int | None = None,
) -> Body:
    """Let a socket hear its room from now on, and give it the list it begins with."""
    if joined.replaced_sid is not None:
        run.members.exit([joined.replaced_sid], joined.room_name)
    missed = run.kept_broadcasts.look(joined.room_name, since_broadcast)
    run.members.enter(sid, joined.room_name, joined.peer_id)
    view = run.announcer.read(joined.room_name, joined.known_version)
    run.announcer.enter(sid, view, deltas=told.deltas, data_notices=told.data_notices)
    body = {**room_list.joined(view, joined.peer_id), **(hinted or {})}
    if run.access.is_locked:
        version, grants = joined.version, joined.grants
        body["grants"] = run.live_rights.entered(sid, joined.room_name, version, grants)
    if missed is not None:
        body["last_broadcast"] = missed.last
    run.sockets.send(sid, "join_room_success", body)
    if missed is not None and since_broadcast is not None:
        run.kept_broadcasts.tell_missed(sid, joined.room_name, since_broadcast, missed)
    if told.states:
        run.states.listen(sid, joined.room_name)
    else:
        run.states.deafen(sid)
    return body


@contextmanager
def _looked_after(run: Runtime) -> Generator[None]:
    """Have it looked for sessions of sockets that are gone if what follows a join's commit fails.

    The connection may have been lost meanwhile, and its disconnect found nothing to end yet.
    """
    try:
        yield
    except Exception:
        run.lost_a_disconnect = True
        raise


def _announce_join(run: Runtime, sid: str, joined: Joined) -> None:
    run.waiting.deliver(sid)
    if joined.is_news:
        if joined.left is not None:
            run.announcer.mark(joined.left.room_name)
        run.announcer.mark_change(joined.change, joined.room_name)
    if not run.sockets.is_connected(sid):
        # The connection was lost meanwhile, and its disconnect found nothing to end yet.
        run.switchboard.lost(sid)
        run.announcer.forget(sid)
        run.states.gone(sid)
        _end_socket(run, sid, joined.room_name, lost=True)


def _end_socket(run: Runtime, sid: str, room_name: str, *, lost: bool) -> None:
    """End the session of a socket; if the database cannot be reached, have it done later.

    That of a lost one ends after the grace, if there is one, and its client may recover.
    """
    grace = run.settings.disconnect_grace
    gone_since = time.monotonic() - run.sockets.silence_of(sid)
    try:
        with run.announcer.in_order(room_name):
            with database.writing(upkeep=True) as session:
                if lost and grace > 0 and not run.stopping:
                    sessions.suspend(session, sid, grace)
                    return
                ended = sessions.end_socket(session, sid, in_room=room_name)
                if lost:
                    recovery.settle(session, sid)
                else:
                    recovery.withdraw(session, sid)
            if ended is not None:
                run.announcer.note(ended.change)
    except Exception:
        log.exception("the end of a connection could not be recorded; it will be")
        run.counters.unrecorded_ends.append(gone_since)
        run.lost_a_disconnect = True
        return
    run.counters.ghosts["socket"].observe(time.monotonic() - gone_since)
    if ended is not None:
        run.announcer.mark_change(ended.change, ended.room_name)
