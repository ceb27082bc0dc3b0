"""The REST routes that say who may be in a room, and do what there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flask import Blueprint
from sqlalchemy.orm import Session

from presence import errors
from presence.domain.peers import admitting, lobbies, moderation, rights
from presence.domain.peers.results import Left
from presence.domain.permissions import bans
from presence.domain.permissions.tokens import ADMIN, ADMIT
from presence.storage import database
from presence.transport.admission import request_access
from presence.transport.backend import once
from presence.transport.process import erasing
from presence.transport.process.hinting import json_body
from presence.transport.process.runtime import Runtime, runtime
from presence.transport.wire import (
    access_responses,
    described,
    messages,
    room_responses,
    serializers,
)
from presence.transport.wire.backend_messages import Bar, Refuse, SetGrants
from presence.transport.wire.messages import PeerAddress, RoomAddress
from presence.transport.wire.needs import needs
from presence.transport.wire.serializers import Body

bp = Blueprint("moderation_api", __name__, url_prefix="/api/webrtc/rooms/<room_name>")


@bp.post("/peers/<peer_id>/kick")
@described.route(
    group="access",
    answer=room_responses.LeftOverRest,
    errors=(errors.RoomNotFound, errors.PeerNotFound),
)
@needs(ADMIN, locked_only=True)
def kick(room_name: str, peer_id: str) -> Body:
    """Put a peer out of a room, now; it may come back."""
    run, address = runtime(), _peer(room_name, peer_id)
    with run.announcer.in_order(address.room_name):
        with once.writing() as session:
            left = moderation.kick(session, address.room_name, address.peer_id)
            body = {"success": True, **serializers.left(left, moderation.KICKED)}
            once.answered(session, body)
        see_out(run, [left], moderation.KICKED)
    run.announcer.mark(address.room_name)
    return body


@bp.post("/peers/<peer_id>/ban")
@described.route(group="access", answer=access_responses.BanMade, body=Bar)
@needs(ADMIN, locked_only=True)
def ban(room_name: str, peer_id: str) -> Body:
    """Put a peer out of a room and let it not come back, for a time or until it is unbanned."""
    run, address = runtime(), _peer(room_name, peer_id)
    message = messages.parse(Bar, json_body())
    with run.announcer.in_order(address.room_name):
        with once.writing() as session:
            bar, left = moderation.ban(
                session, address.room_name, address.peer_id, message.seconds, message.reason
            )
            body = {"success": True, **serializers.ban(bar)}
            once.answered(session, body)
        see_out(run, left, moderation.BANNED)
        run.watchers.shut_out(address.room_name, address.peer_id)
    run.announcer.mark(address.room_name)
    run.lobby.changed(address.room_name)
    return body


@bp.post("/peers/<peer_id>/unban")
@described.route(group="access", answer=access_responses.Unbanned, errors=(errors.BanNotFound,))
@needs(ADMIN, locked_only=True)
def unban(room_name: str, peer_id: str) -> Body:
    """Let a banned peer come back."""
    address = _peer(room_name, peer_id)
    body = {"success": True, "room_name": address.room_name, "peer_id": address.peer_id}
    with once.writing() as session:
        bans.lift(session, address.room_name, address.peer_id)
        once.answered(session, body)
    return body


@bp.get("/bans")
@described.route(group="access", answer=access_responses.Bans)
@needs(ADMIN, locked_only=True)
def list_bans(room_name: str) -> Body:
    """Return who is banned from a room, the newest first, and whether it is closed."""
    name = _room(room_name)
    with database.reading() as session:
        banned = bans.of_room(session, name)
        closing = bans.closing_of(session, name)
    return {
        "room_name": name,
        "bans": [serializers.ban(bar) for bar in banned],
        "closed": serializers.closing(closing) if closing else None,
    }


@bp.post("/close")
@described.route(group="access", answer=access_responses.ClosingMade, body=Bar)
@needs(ADMIN, locked_only=True)
def close_room(room_name: str) -> Body:
    """Put everybody out of a room and let nobody in, for a time or until it is reopened."""
    run, name = runtime(), _room(room_name)
    message = messages.parse(Bar, json_body())
    with run.announcer.in_order(name):
        with once.writing() as session:
            bar, left = moderation.close_room(session, name, message.seconds, message.reason)
            put_out = [item.peer_id for item in left]
            body = {"success": True, **serializers.closing(bar), "put_out": put_out}
            once.answered(session, body)
        see_out(run, left, moderation.CLOSED)
    run.announcer.mark(name)
    run.lobby.changed(name)
    return body


@bp.post("/reopen")
@described.route(group="access", answer=access_responses.Reopened, errors=(errors.BanNotFound,))
@needs(ADMIN, locked_only=True)
def reopen_room(room_name: str) -> Body:
    """Let a closed room be joined again."""
    run, name = runtime(), _room(room_name)
    body = {"success": True, "room_name": name}
    with once.writing() as session:
        bans.reopen(session, name)
        once.answered(session, body)
    # Nobody is in it, but whoever looks at it may join now.
    run.announcer.mark(name)
    return body


@bp.post("/peers/<peer_id>/grants")
@described.route(
    group="access",
    answer=access_responses.GrantsSet,
    body=SetGrants,
    errors=(errors.RoomNotFound, errors.PeerNotFound),
)
@needs(ADMIN, locked_only=True)
def set_grants(room_name: str, peer_id: str) -> Body:
    """Let a peer do more or less in a room than its token says, from now on."""
    run, address = runtime(), _peer(room_name, peer_id)
    message = messages.parse(SetGrants, json_body())
    for grant in message.grants or ():
        # Nobody gives what they have not.
        request_access.require(grant, address.room_name)
    with run.announcer.in_order(address.room_name):
        with once.writing() as session:
            regranted = rights.regrant(session, address.room_name, address.peer_id, message.grants)
            body = {"success": True, **serializers.regranted(regranted)}
            once.answered(session, body)
        run.announcer.note(regranted.change)
        run.live_rights.changed(regranted)
    if regranted.change is not None:
        run.announcer.mark_change(regranted.change, address.room_name)
    return body


@bp.get("/knocking")
@described.route(group="access", answer=access_responses.Knocking)
@needs(ADMIT, locked_only=True)
def knocking(room_name: str) -> Body:
    """Return who waits in front of a room, the first to come first."""
    name = _room(room_name)
    with database.reading() as session:
        people = lobbies.waiting(session, name).get(name, [])
    return serializers.knocking(name, people)


@bp.post("/knocking/<peer_id>/admit")
@described.route(
    group="access",
    answer=access_responses.Admitted,
    errors=(errors.NotWaiting, errors.RoomFull, errors.DatabaseFull),
)
@needs(ADMIT, locked_only=True)
def admit(room_name: str, peer_id: str) -> Body:
    """Let somebody in who waits in front of a room, if there is a place."""
    run, address = runtime(), _peer(room_name, peer_id)
    named = {"room_name": address.room_name, "peer_id": address.peer_id}

    def admitted(session: Session, version: int) -> None:
        once.answered(session, {"success": True, **named, "version": version})

    version = admit_one(run, address.room_name, address.peer_id, admitted)
    return {"success": True, **named, "version": version}


@bp.post("/knocking/<peer_id>/refuse")
@described.route(
    group="access", answer=access_responses.Refused, body=Refuse, errors=(errors.NotWaiting,)
)
@needs(ADMIT, locked_only=True)
def refuse(room_name: str, peer_id: str) -> Body:
    """Turn somebody away who waits in front of a room."""
    run, address = runtime(), _peer(room_name, peer_id)
    message = messages.parse(Refuse, json_body())
    body = {
        "success": True,
        "room_name": address.room_name,
        "peer_id": address.peer_id,
        "reason": message.reason,
    }
    with once.writing() as session:
        sids = lobbies.refuse(session, address.room_name, address.peer_id, message.reason)
        once.answered(session, body)
    run.lobby.changed(address.room_name, sids)
    return body


def admit_one(
    run: Runtime,
    name: str,
    peer_id: str,
    admitted: Callable[[Session, int], None] | None = None,
) -> int:
    """Let somebody in who waits; returns the room's version, which `admitted` gets in the change.

    Raises as `admitting.admit` does.
    """
    with run.announcer.in_order(name):
        writing = database.writing if admitted is None else once.writing
        with run.blobs.deletion() as withdraw, writing() as session:
            joined = admitting.admit(
                session,
                name,
                peer_id,
                rest_seconds=run.settings.rest_session_seconds,
                limits=run.limits,
            )
            for _, one in joined:
                withdraw(one.erased.stored_names)
            if admitted is not None:
                admitted(session, joined[-1][1].version)
        for _, one in joined:
            run.announcer.note(one.change)
            erasing.note_erased(run, name, one.erased)
    run.announcer.mark(name)
    run.announcer.mark(*{one.left.room_name for _, one in joined if one.left is not None})
    run.lobby.changed(name, [sid for sid, _ in joined if sid is not None])
    return joined[-1][1].version


@bp.delete("")
@described.route(group="access", answer=access_responses.RoomRemoved, errors=(errors.RoomNotFound,))
@needs(ADMIN)
def remove_room(room_name: str) -> Body:
    """Remove a room with everybody in it, their data and their files."""
    run, name = runtime(), _room(room_name)
    with run.announcer.in_order(name):
        with run.blobs.deletion() as withdraw, once.writing() as session:
            removed = moderation.remove_room(session, name)
            withdraw(removed.stored_names)
            body = _removed(removed, name)
            once.answered(session, body)
        see_out(run, removed.left, moderation.REMOVED)
        for peer_id in removed.peer_ids:
            run.members.drop_waiting(name, peer_id)
        run.announcer.removed(name, removed.version)
    run.scrub = True
    run.lobby.changed(name)
    return body


def _removed(removed: moderation.RemovedRoom, name: str) -> Body:
    return {
        "success": True,
        "room_name": name,
        "version": removed.version,
        "put_out": [item.peer_id for item in removed.left],
        "peers_erased": len(removed.peer_ids),
        "files_deleted": len(removed.stored_names),
    }


def see_out(run: Runtime, left: list[Left], reason: str) -> None:
    """Take the sockets of those who were put out of a room from it, and tell them why."""
    for item in left:
        run.members.put_out(item.sids, item.room_name, serializers.left(item, reason))


def _room(room_name: str) -> str:
    return messages.parse(RoomAddress, {"room_name": room_name}).room_name


def _peer(room_name: str, peer_id: str) -> Any:
    return messages.parse(PeerAddress, {"room_name": room_name, "peer_id": peer_id})
