"""Flask-SocketIO as its documentation and most tutorials have it, with Flask-SQLAlchemy on SQLite.

Run by gunicorn with the eventlet worker. Every change of a room sends the whole list to everybody
in it. Nothing is tuned but what a careful developer sets anyway: write-ahead logging, foreign keys.
"""

from __future__ import annotations

import os
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from flask import Flask, jsonify, request
from flask.typing import ResponseReturnValue
from flask_socketio import SocketIO, emit, join_room, leave_room
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import JSON, ForeignKey, UniqueConstraint, event, func, select
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship, selectinload

DATA = Path(os.environ["DATA_DIR"])
UPLOADS = DATA / "uploads"
MAX_PEERS = int(os.environ.get("MAX_PEERS", "2000"))
EXTENSIONS = {".jpg", ".jpeg", ".png", ".gif", ".webp", ".pdf", ".doc", ".docx", ".txt"}

app = Flask(__name__)
app.config["SQLALCHEMY_DATABASE_URI"] = f"sqlite:///{DATA / 'presence.db'}"
app.config["MAX_CONTENT_LENGTH"] = 16 * 1024 * 1024
socketio = SocketIO(
    app,
    async_mode="eventlet",
    cors_allowed_origins="*",
    ping_interval=float(os.environ.get("PING_SECONDS", "5")),
    ping_timeout=float(os.environ.get("PONG_SECONDS", "5")),
)


class Base(DeclarativeBase):
    """Base of the tables."""


db = SQLAlchemy(app, model_class=Base)


class Room(Base):
    """A room."""

    __tablename__ = "rooms"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)
    max_peers: Mapped[int]
    created_at: Mapped[datetime]
    peers: Mapped[list[Peer]] = relationship(back_populates="room")


class Peer(Base):
    """A peer of a room."""

    __tablename__ = "peers"
    __table_args__ = (UniqueConstraint("room_id", "peer_id"),)
    id: Mapped[int] = mapped_column(primary_key=True)
    room_id: Mapped[int] = mapped_column(ForeignKey("rooms.id"), index=True)
    peer_id: Mapped[str]
    username: Mapped[str]
    joined_at: Mapped[datetime]
    last_seen: Mapped[datetime]
    is_active: Mapped[bool]
    sid: Mapped[str | None] = mapped_column(index=True)
    user_data: Mapped[dict[str, Any]] = mapped_column(JSON)
    room: Mapped[Room] = relationship(back_populates="peers")
    files: Mapped[list[File]] = relationship()


class File(Base):
    """An uploaded file."""

    __tablename__ = "files"
    id: Mapped[int] = mapped_column(primary_key=True)
    peer_row_id: Mapped[int] = mapped_column(ForeignKey("peers.id"), index=True)
    filename: Mapped[str]


class Refused(Exception):
    """A request that cannot be fulfilled."""

    def __init__(self, status: int, code: str, detail: str) -> None:
        self.status = status
        self.body = {"detail": detail, "code": code}


with app.app_context():
    UPLOADS.mkdir(exist_ok=True)

    @event.listens_for(db.engine, "connect")
    def _set_up(connection: Any, _record: Any) -> None:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=NORMAL")
        connection.execute("PRAGMA foreign_keys=ON")

    Base.metadata.create_all(db.engine)


def now() -> datetime:
    """Return the time in UTC."""
    return datetime.now(UTC).replace(tzinfo=None)


def peer_body(peer: Peer) -> dict[str, Any]:
    """Return a peer as it stands in a list."""
    return {
        "peer_id": peer.peer_id,
        "username": peer.username,
        "joined_at": peer.joined_at.isoformat() + "Z",
        "is_active": peer.is_active,
        "last_seen": peer.last_seen.isoformat() + "Z",
        "user_data": peer.user_data,
        "uploaded_files": [f"uploads/{file.filename}" for file in peer.files],
    }


def list_of(room_name: str) -> dict[str, Any]:
    """Return the list of a room."""
    query = (
        select(Peer)
        .join(Room)
        .where(Room.name == room_name)
        .order_by(Peer.joined_at, Peer.peer_id)
        .options(selectinload(Peer.files))
    )
    peers = db.session.scalars(query).all()
    return {
        "room_name": room_name,
        "active_peers": sum(peer.is_active for peer in peers),
        "total_peers": len(peers),
        "peers": [peer_body(peer) for peer in peers],
    }


def announce(room_name: str) -> None:
    """Send the list to everybody in the room."""
    socketio.emit("peer_list_updated", list_of(room_name), to=room_name)


def text(message: dict[str, Any], field: str, length: int) -> str:
    """Return a short string of a message."""
    value = message.get(field)
    if not isinstance(value, str) or not 0 < len(value) <= length:
        raise Refused(422, "invalid_field", f"{field} must be a string of 1 to {length}.")
    return value


def data_of(message: dict[str, Any]) -> dict[str, Any]:
    """Return the user_data of a message."""
    value = message.get("user_data") or {}
    if not isinstance(value, dict):
        raise Refused(422, "invalid_field", "user_data must be an object.")
    return value


def join(message: dict[str, Any], room_name: str, sid: str | None) -> Peer:
    """Make a peer active in a room."""
    peer_id, username = text(message, "peer_id", 128), text(message, "username", 64)
    room = db.session.scalar(select(Room).where(Room.name == room_name))
    if room is None:
        room = Room(name=room_name, max_peers=MAX_PEERS, created_at=now())
        db.session.add(room)
        db.session.flush()
    peer = db.session.scalar(select(Peer).where(Peer.room_id == room.id, Peer.peer_id == peer_id))
    if peer is None or not peer.is_active:
        active = db.session.scalar(
            select(func.count()).select_from(Peer).where(Peer.room_id == room.id, Peer.is_active)
        )
        if (active or 0) >= room.max_peers:
            raise Refused(409, "room_full", "The room is full.")
    if peer is None:
        peer = Peer(room_id=room.id, peer_id=peer_id, joined_at=now(), user_data={})
        db.session.add(peer)
    peer.username, peer.is_active, peer.last_seen, peer.sid = username, True, now(), sid
    peer.user_data = {**peer.user_data, **data_of(message)}
    db.session.commit()
    return peer


def sid() -> str:
    """Return the id of the socket whose event is handled."""
    return str(request.sid)  # type: ignore[attr-defined]


def peer_of(sid: str) -> Peer | None:
    """Return the peer that a socket stands for."""
    return db.session.scalars(select(Peer).where(Peer.sid == sid)).first()


def me() -> Peer:
    """Return the peer that this socket stands for."""
    peer = peer_of(sid())
    if peer is None:
        raise Refused(409, "not_joined", "Join a room first.")
    return peer


@socketio.on_error_default
def on_error(error: Exception) -> dict[str, Any]:
    """Tell the client what was wrong."""
    if not isinstance(error, Refused):
        raise error
    emit(f"{request.event['message']}_error", error.body)  # type: ignore[attr-defined]
    return {"ok": False, **error.body}


@socketio.on("join_room")
def on_join_room(message: dict[str, Any]) -> dict[str, Any]:
    """Join a room."""
    room_name = text(message, "room_name", 128)
    peer = join(message, room_name, sid())
    peer_id = peer.peer_id
    join_room(room_name)
    body = {**list_of(room_name), "peer_id": peer_id}
    emit("join_room_success", body)
    announce(room_name)
    return {"ok": True, **body}


@socketio.on("update_user_data")
def on_update_user_data(message: dict[str, Any]) -> dict[str, Any]:
    """Merge user data."""
    peer = me()
    peer.user_data = {**peer.user_data, **data_of(message)}
    peer.last_seen = now()
    db.session.commit()
    room_name = peer.room.name
    body = {"room_name": room_name, "peer_id": peer.peer_id, "user_data": peer.user_data}
    emit("update_user_data_success", body)
    announce(room_name)
    return {"ok": True, **body}


def end(peer: Peer) -> str:
    """Make a peer inactive and return its room."""
    peer.is_active, peer.sid, peer.last_seen = False, None, now()
    db.session.commit()
    return peer.room.name


@socketio.on("leave_room")
def on_leave_room(_message: dict[str, Any] | None = None) -> dict[str, Any]:
    """Leave the room."""
    peer = me()
    body = {"peer_id": peer.peer_id, "room_name": end(peer)}
    leave_room(body["room_name"])
    emit("leave_room_success", body)
    announce(body["room_name"])
    return {"ok": True, **body}


@socketio.on("disconnect")
def on_disconnect(*_reason: Any) -> None:
    """Make the peer of a lost socket inactive."""
    peer = peer_of(sid())
    if peer is not None:
        announce(end(peer))


@socketio.on("signal")
def on_signal(message: dict[str, Any]) -> dict[str, Any]:
    """Hand a signal to a peer of the same room."""
    sender = me()
    to = text(message, "to", 128)
    target = db.session.scalar(
        select(Peer).where(Peer.room_id == sender.room_id, Peer.peer_id == to, Peer.is_active)
    )
    if target is None or target.sid is None:
        raise Refused(409, "inactive", "The peer is not here.")
    signal = {
        "from": sender.peer_id,
        "room_name": sender.room.name,
        "type": message.get("type"),
        "data": message.get("data"),
    }
    emit("signal", signal, to=target.sid)
    return {"ok": True, "status": "delivered", "to": to, "type": message.get("type")}


@app.errorhandler(Refused)
def refused(error: Refused) -> ResponseReturnValue:
    """Answer a request that cannot be fulfilled."""
    return jsonify(error.body), error.status


@app.get("/api/webrtc/rooms")
def get_rooms() -> ResponseReturnValue:
    """Return every room with its peers."""
    query = (
        select(Room).order_by(Room.name).options(selectinload(Room.peers).selectinload(Peer.files))
    )
    answer = {}
    for room in db.session.scalars(query):
        peers = [peer_body(peer) for peer in room.peers]
        answer[room.name] = {
            "name": room.name,
            "active_peer_count": sum(peer["is_active"] for peer in peers),
            "total_peer_count": len(peers),
            "max_peers": room.max_peers,
            "created_at": room.created_at.isoformat() + "Z",
            "peers": peers,
        }
    return jsonify(answer)


@app.post("/api/webrtc/rooms/<room_name>/join")
def post_join(room_name: str) -> ResponseReturnValue:
    """Join a room over REST."""
    peer_id = join(request.get_json(), room_name, None).peer_id
    announce(room_name)
    return jsonify({"success": True, **list_of(room_name), "peer_id": peer_id})


@app.post("/api/webrtc/upload")
def post_upload() -> ResponseReturnValue:
    """Store a file for a peer."""
    file, room_name, peer_id = (
        request.files["file"],
        request.form["room_name"],
        request.form["peer_id"],
    )
    original = file.filename or ""
    extension = Path(original).suffix.lower()
    if extension not in EXTENSIONS:
        raise Refused(415, "file_type_refused", "This type is not accepted.")
    peer = db.session.scalar(
        select(Peer).join(Room).where(Room.name == room_name, Peer.peer_id == peer_id)
    )
    if peer is None:
        raise Refused(404, "peer_not_found", "There is no such peer.")
    filename = f"{uuid.uuid4()}{extension}"
    file.save(UPLOADS / filename)
    db.session.add(File(peer_row_id=peer.id, filename=filename))
    db.session.commit()
    body = {
        "success": True,
        "filename": filename,
        "original_filename": original,
        "file_path": f"uploads/{filename}",
        "file_url": f"/uploads/{filename}",
        "file_size": (UPLOADS / filename).stat().st_size,
        "content_type": file.content_type,
        "room_name": room_name,
        "peer_id": peer_id,
    }
    socketio.emit("file_uploaded", body, to=room_name)
    announce(room_name)
    return jsonify(body)
