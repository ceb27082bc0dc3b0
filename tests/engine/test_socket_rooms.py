"""The rooms of sockets are the library's, whatever happens to them."""

from __future__ import annotations

import random
from typing import Any

import pytest
import socketio

from presence.transport.engine.socket_rooms import SocketRooms


def managed(manager: Any) -> Any:
    """Return a manager of a server that gives the ids e0, e1 … to its sockets."""
    server = socketio.Server(client_manager=manager, async_mode="threading")
    ids = iter(range(10_000))
    server.eio.generate_id = lambda: f"s{next(ids)}"
    return manager


@pytest.mark.parametrize("seed", range(5))
def test_any_history_leaves_the_same_rooms_as_with_the_librarys_own_manager(seed: int) -> None:
    chance = random.Random(seed)
    ours, theirs = managed(SocketRooms()), managed(socketio.Manager())
    connected: list[str] = []
    for number in range(600):
        step = chance.choice(["connect", "enter", "enter", "leave", "disconnect"])
        if step == "connect" or not connected:
            sids = {m.connect(f"e{number}", "/") for m in (ours, theirs)}
            assert len(sids) == 1
            connected += sids
            continue
        sid, room = chance.choice(connected), chance.choice("abcdef")
        for manager in (ours, theirs):
            if step == "enter":
                manager.enter_room(sid, "/", room)
            elif step == "leave":
                manager.leave_room(sid, "/", room)
            else:
                manager.pre_disconnect(sid, "/")
                assert not manager.is_connected(sid, "/")
                manager.disconnect(sid, "/")
        if step == "disconnect":
            connected.remove(sid)
        for room_ in [*"abcdef", sid, None, ["a", "b", *connected[:2]]]:
            both = [sorted(m.get_participants("/", room_)) for m in (ours, theirs)]
            assert both[0] == both[1]
        assert sorted(ours.get_rooms(sid, "/")) == sorted(theirs.get_rooms(sid, "/"))
    for sid in connected:
        for manager in (ours, theirs):
            manager.disconnect(sid, "/")
    assert ours.rooms == theirs.rooms == {}
    assert ours._rooms_of == ours.pending_disconnect == {}


def test_a_socket_that_is_gone_cannot_enter_a_room() -> None:
    manager = managed(SocketRooms())
    manager.connect("e1", "/")
    with pytest.raises(KeyError):
        manager.enter_room("gone", "/", "a")
    assert list(manager.get_participants("/", "a")) == []


def test_a_socket_that_is_gone_leaves_no_room_behind() -> None:
    manager = managed(SocketRooms())
    for others in (True, False):
        sid, other = manager.connect("e0", "/"), manager.connect("e1", "/")
        manager.disconnect(sid, "/")
        if not others:
            manager.disconnect(other, "/")
        with pytest.raises(KeyError):
            manager.enter_room(sid, "/", "a")
        assert "a" not in manager.rooms.get("/", {})
        assert manager.eio_sid_from_sid(sid, "/") is None
