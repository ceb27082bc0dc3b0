"""The REST routes of rooms and the peers in them."""

from __future__ import annotations

from functools import partial

from flask import Blueprint, Response, request
from sqlalchemy.orm import Session

from presence import errors
from presence.domain.data import peer_data
from presence.domain.files import files
from presence.domain.peers import lobbies, passwords, peers, rights
from presence.domain.peers.results import Joined
from presence.domain.peers.sessions import RestPresence
from presence.domain.permissions.tokens import JOIN, LIST, UPDATE, UPLOAD
from presence.domain.rooms import lists, rooms
from presence.errors import PeerNotFound
from presence.storage import database
from presence.transport.admission import request_access
from presence.transport.admission.client_addresses import address_of
from presence.transport.backend import once
from presence.transport.live import room_lists
from presence.transport.live.room_makers import maker_of
from presence.transport.process import erasing, hinting
from presence.transport.process.runtime import Runtime, runtime
from presence.transport.rest import room_pages
from presence.transport.wire import (
    described,
    messages,
    room_list,
    room_responses,
    serializers,
)
from presence.transport.wire.messages import (
    JoinOverRest,
    JoinRoom,
    LeaveOverRest,
    PeerAddress,
    PeerQuery,
    RoomAddress,
    RoomsQuery,
    UpdateOverRest,
)
from presence.transport.wire.needs import needs
from presence.transport.wire.serializers import Body

bp = Blueprint("rooms_api", __name__, url_prefix="/api/webrtc/rooms")

_UNKNOWN_PEER = (errors.RoomNotFound, errors.PeerNotFound)


@bp.get("")
@described.route(
    group="rooms",
    answer=room_responses.Rooms,
    query=RoomsQuery,
    errors=(errors.AnswersTooLarge,),
)
@needs(LIST)
def list_rooms() -> Response:
    """Return every room with its peers, by name; those alone that the token is for.

    Where the query asks for anything, a page of them; the header `Link` has the address of the
    next one, if there is one.
    """
    run = runtime()
    query = room_pages.query_of(request.args)
    if query is not None:
        return _page(query)
    with database.reading() as session:
        visible = request_access.visible_rooms(session)
        tag = room_lists.tag_of_all(session, None if request_access.caller() is None else visible)
        if room_pages.has(tag):
            return room_pages.tagged(tag)

        def rooms_by_name() -> Body:
            shown = run.room_lists.read_all(session)
            return {one.name: room_list.room(one) for one in shown if visible(one.name)}

        return room_pages.tagged(tag, run.shared_bodies.get(("rooms", tag), rooms_by_name))


def _page(query: RoomsQuery) -> Response:
    """Return some of the rooms, by name."""
    run = runtime()
    with database.reading() as session:
        heads = lists.page(
            session,
            prefix=query.prefix or "",
            active=query.active,
            after=query.after,
            limit=query.limit + 1,
            only=request_access.visible_condition(session),
        )
        shown, is_last = heads[: query.limit], len(heads) <= query.limit
        tag = f"{room_lists.tag_of_some(shown)}-{is_last:d}"

        def rooms_by_name() -> Body:
            found = run.room_lists.read_some(session, shown)
            return {one.name: room_list.room(one) for one in found}

        body = None if room_pages.has(tag) else run.shared_bodies.get(("rooms", tag), rooms_by_name)
    response = room_pages.tagged(tag, body)
    if not is_last:
        response.headers["Link"] = room_pages.link_after(query, shown[-1].name)
        response.headers["Access-Control-Expose-Headers"] = "Link"
    return response


@bp.get("/<room_name>")
@described.route(
    group="rooms",
    answer=room_responses.Room,
    errors=(errors.RoomNotFound, errors.AnswersTooLarge),
)
@needs(LIST)
def get_room(room_name: str) -> Response:
    """Return one room with its peers."""
    run, address = runtime(), messages.parse(RoomAddress, {"room_name": room_name})
    with database.reading() as session:
        tag = room_lists.tag_of(session, address.room_name)
        if room_pages.has(tag):
            return room_pages.tagged(tag)

        def room() -> Body:
            return room_list.room(run.room_lists.read(session, address.room_name))

        return room_pages.tagged(tag, run.shared_bodies.get(("room", tag), room))


@bp.post("/<room_name>/join")
@described.route(
    group="rooms",
    answer=room_responses.JoinedOverRest,
    body=JoinOverRest,
    errors=(
        errors.RoomFull,
        errors.RoomNotMade,
        errors.RoomClosed,
        errors.Waiting,
        errors.AdmissionRefused,
        errors.LobbyFull,
        errors.PasswordWanted,
        errors.WrongPassword,
        errors.TooManyWrongPasswords,
        errors.TooManyGuesses,
        errors.TooManyRooms,
        errors.TooManyRoomsMade,
        errors.UserDataTooLarge,
        errors.DatabaseFull,
        errors.ShuttingDown,
    ),
)
@needs(JOIN, acts=True)
def join(room_name: str) -> Body:
    """Join a room without a socket; the peer stays active for a while, longer with every call."""
    run = runtime()
    message = messages.parse_join(hinting.json_body(), room_name, run.settings.max_user_data_bytes)
    request_access.require(JOIN, message.room_name, message.peer_id)
    run.refuse_when_stopping()
    caller = request_access.caller()
    try:
        return run.passwords.passing(
            message.password,
            address_of(request.environ),
            partial(_join, run, message),
            passwords.UNASKED if caller is not None and caller.is_admin else None,
        )
    except lobbies.MustWait:
        try:
            presence = RestPresence(run.settings.rest_session_seconds)
            run.lobby.knock(message, presence, most=run.settings.max_waiting)
        finally:
            run.lobby.changed(message.room_name)
        raise errors.Waiting(message.room_name) from None


def _join(run: Runtime, message: JoinRoom, passed: str | None) -> Body:
    caller = request_access.caller()
    with run.announcer.in_order(message.room_name):
        with run.blobs.deletion() as withdraw, once.writing() as session:
            joined = peers.join(
                session,
                room_name=message.room_name,
                peer_id=message.peer_id,
                username=message.username,
                new_data=message.user_data,
                presence=RestPresence(run.settings.rest_session_seconds),
                limits=run.limits,
                maker=maker_of(run.settings, caller, request.environ),
                passed=passed,
                enters=caller is None or caller.enters,
            )
            withdraw(joined.erased.stored_names)
            kept = once.answered(session, lambda: _joined_now(session, joined))
        run.announcer.note(joined.change)
        erasing.note_erased(run, joined.room_name, joined.erased)
        body = kept or _joined(run.announcer.read(joined.room_name, joined.known_version), joined)
    run.announcer.mark_change(joined.change, joined.room_name)
    return body


@bp.post("/<room_name>/leave")
@described.route(
    group="rooms",
    answer=room_responses.LeftOverRest,
    body=LeaveOverRest,
    query=PeerQuery,
    errors=_UNKNOWN_PEER,
)
@needs(JOIN, acts=True)
def leave(room_name: str) -> Body:
    """Make a peer inactive, whatever keeps it active; its sockets leave the room."""
    run = runtime()
    address = _acting(JOIN, room_name)
    with run.announcer.in_order(address.room_name):
        with once.writing(upkeep=True) as session:
            left = peers.leave(session, address.room_name, address.peer_id)
            body = serializers.left(left, reason="left_over_rest")
            once.answered(session, {"success": True, **body})
        run.members.put_out(left.sids, left.room_name, body)
    run.announcer.mark(left.room_name)
    return {"success": True, **body}


@bp.post("/<room_name>/update-data")
@described.route(
    group="rooms",
    answer=room_responses.UserDataStoredOverRest,
    body=UpdateOverRest,
    query=PeerQuery,
    errors=(*_UNKNOWN_PEER, errors.Conflict, errors.UserDataTooLarge, errors.DatabaseFull),
)
@needs(UPDATE, acts=True)
def update_data(room_name: str) -> Body:
    """Change a peer's user data, announcing it to the others in the room."""
    run = runtime()
    address = _acting(UPDATE, room_name)
    message = messages.parse_update(hinting.json_body(), run.settings.max_user_data_bytes)
    with run.announcer.in_order(address.room_name):
        with once.writing() as session:
            updated = peer_data.update(
                session,
                room_name=address.room_name,
                peer_id=address.peer_id,
                new_data=message.user_data,
                remove=message.remove,
                replace=message.replace,
                if_version=message.if_version,
                renew_seconds=run.settings.rest_session_seconds,
                limits=run.limits,
            )
            body = {"success": True, **serializers.user_data_success(updated)}
            once.answered(session, body)
        run.announcer.note(updated.change)
        run.announcer.emit(
            "user_data_updated", serializers.user_data_notice(updated), updated.room_name
        )
    run.diary.note(updated)
    run.announcer.mark_change(updated.change, updated.room_name, told=True)
    return body


@bp.get("/<room_name>/peers/<peer_id>")
@described.route(group="rooms", answer=room_responses.PeerInFull, errors=_UNKNOWN_PEER)
@needs(LIST)
def get_peer(room_name: str, peer_id: str) -> Body:
    """Return one peer, with what is known of its files."""
    address = _peer_address(room_name, peer_id)
    with database.reading() as session:
        room = rooms.view(session, address.room_name, only=address.peer_id)
        stored = files.of_peer(session, address.room_name, address.peer_id)
    if not room.peers:
        raise PeerNotFound(address.room_name, address.peer_id)
    return serializers.peer_in_full(room.peers[0], room.name, stored)


@bp.delete("/<room_name>/peers/<peer_id>")
@described.route(group="rooms", answer=room_responses.PeerErased, errors=_UNKNOWN_PEER)
@needs(UPDATE, acts=True)
def erase_peer(room_name: str, peer_id: str) -> Body:
    """Erase a peer: its row, its user data and its files."""
    run = runtime()
    address = _peer_address(room_name, peer_id)
    with run.announcer.in_order(address.room_name):
        with run.blobs.deletion() as withdraw, once.writing() as session:
            if (grants := request_access.caller()) is not None and not grants.is_admin:
                rights.check_erasable(session, address.room_name, address.peer_id)
            erased = peers.erase(session, address.room_name, address.peer_id)
            withdraw(erased.stored_names)
            body = {
                "room_name": erased.room_name,
                "peer_id": erased.peer_id,
                "version": erased.version,
            }
            answer = {"success": True, **body, "files_deleted": len(erased.stored_names)}
            once.answered(session, answer)
        notice = {**body, "is_active": False, "reason": "erased"}
        run.members.put_out(erased.sids, erased.room_name, notice)
    run.scrub = True
    run.announcer.mark(erased.room_name)
    return answer


@bp.delete("/<room_name>/files/<filename>")
@described.route(
    group="files",
    answer=room_responses.FileChange,
    errors=(errors.RoomNotFound, errors.UploadedFileNotFound),
)
@needs(UPLOAD, acts=True)
def delete_file(room_name: str, filename: str) -> Body:
    """Delete an uploaded file of the room."""
    run = runtime()
    address = messages.parse(RoomAddress, {"room_name": room_name})
    if request_access.caller() is not None:
        with database.reading() as session:
            owner = files.owner(session, address.room_name, filename)
        request_access.require(UPLOAD, address.room_name, owner)
    with run.announcer.in_order(address.room_name):
        with run.blobs.deletion() as withdraw, once.writing() as session:
            change = files.remove(session, address.room_name, filename)
            withdraw([change.file.stored_name])
            body = serializers.file_change(change)
            once.answered(session, body)
        run.announcer.emit("file_deleted", serializers.file_notice(change), change.room_name)
    run.announcer.mark(change.room_name, told=True)
    return body


def _joined(view: room_list.RoomList, joined: Joined) -> Body:
    body = {"success": True, **room_list.joined(view, joined.peer_id)}
    caller = request_access.caller()
    if caller is not None:
        body["grants"] = serializers.grants(caller.within(rights.parse(joined.grants)))
    return body


def _joined_now(session: Session, joined: Joined) -> Body:
    """Return the answer to a join as its own transaction has it.

    It is not taken from the lists in memory, nor put there: it may be rolled back.
    """
    head = lists.head(session, joined.room_name)
    everybody = lists.changed(session, head.id, lists.NEVER)
    return _joined(room_list.RoomList(head, everybody), joined)


def _peer_address(room_name: str, peer_id: str | None) -> PeerAddress:
    """Return the peer that a route's path and query name; raises `InvalidField`."""
    address = {"room_name": room_name}
    if peer_id is not None:
        address["peer_id"] = peer_id
    return messages.parse(PeerAddress, address)


def _acting(grant: str, room_name: str) -> PeerAddress:
    """Return the peer that acts: the query names it, or else the body does.

    Raises `InvalidField`, and what `request_access.require` does for the one in the body, of whom
    nobody has asked yet whether the token is theirs.
    """
    if "peer_id" in request.args:
        return _peer_address(room_name, request.args["peer_id"])
    data = hinting.json_body()
    address = _peer_address(room_name, data.get("peer_id") if isinstance(data, dict) else None)
    request_access.require(grant, address.room_name, address.peer_id)
    return address
