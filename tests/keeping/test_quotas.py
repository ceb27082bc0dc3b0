"""Quotas: each is answered with its code and its limit, and holds however many come at once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import requests
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from local_cluster.live_server import LiveServer
from local_cluster.waiting import eventually
from presence.domain.data import room_data
from presence.domain.data.room_data import Wish
from presence.domain.files import files
from presence.domain.peers import moderation, peers
from presence.domain.peers.limits import Limits
from presence.domain.rooms import broadcasts, quotas
from presence.domain.rooms.broadcasts import Said
from presence.domain.rooms.quotas import NO_QUOTAS, Quotas
from presence.domain.values import clock
from presence.errors import PeerStorageFull, RoomStorageFull, TooManyRooms
from presence.storage.models import File, Room, Usage
from tests.keeping.conftest import Keeper
from tests.keeping.domain_calls import attach, join
from tests.support.clients import events, shows
from tests.support.rest import refusal

LIMITS: dict[str, Any] = {
    "PRESENCE_MAX_FILES_PER_PEER": 4,
    "PRESENCE_MAX_BYTES_PER_PEER": 10_000,
    "PRESENCE_MAX_BYTES_PER_ROOM": 15_000,
    "PRESENCE_MAX_BYTES_TOTAL": 40_000,
    "PRESENCE_MAX_ROOMS": 12,
    "PRESENCE_MAX_KEPT_PEERS": 3,
    "PRESENCE_MAX_PEERS": 5,
}


@pytest.fixture(scope="module", params=["eventlet", "threading"])
def small(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Generator[Keeper]:
    """A server that keeps little."""
    live = LiveServer(tmp_path_factory.mktemp("small"), request.param, **LIMITS).start()
    yield Keeper(live)
    live.kill()


@pytest.fixture
def keeper(small: Keeper) -> Keeper:
    """The same server, without the files of the tests before."""
    for name, room in small.get("/rooms").json().items():
        for peer in room["peers"]:
            small.delete(f"/rooms/{name}/peers/{peer['peer_id']}")
    assert small.server.stored_files() == []
    return small


def at_once(number: int, call: Callable[[int], requests.Response]) -> Counter[Any]:
    """Make so many calls at the same time; count the answers by their code (None for success)."""
    with ThreadPoolExecutor(number) as pool:
        return Counter(response.json().get("code") for response in pool.map(call, range(number)))


@pytest.mark.parametrize(
    ("sizes", "status", "code", "limit"),
    [
        ([10, 10, 10, 10, 10], 409, "too_many_files", 4),
        ([6_000, 4_001], 409, "peer_storage_full", 10_000),
    ],
)
def test_a_peer_that_has_too_much_is_refused_until_it_has_less(
    keeper: Keeper, sizes: list[int], status: int, code: str, limit: int
) -> None:
    keeper.join("r", "ada")
    kept = [keeper.upload("r", "ada", size) for size in sizes[:-1]]
    assert all(response.ok for response in kept)
    refused = keeper.upload("r", "ada", sizes[-1])
    assert refusal(refused) == (status, code)
    assert refused.json()["limit"] == limit
    assert len(keeper.server.stored_files()) == len(kept)
    keeper.delete(f"/rooms/r/files/{kept[0].json()['filename']}")
    assert keeper.upload("r", "ada", sizes[-1]).ok


def test_a_room_and_the_server_that_have_too_much_refuse(keeper: Keeper) -> None:
    for room in ("a", "b", "c"):
        for peer_id in ("ada", "bob"):
            keeper.join(room, peer_id)
    for room, expected in (("a", "room_storage_full"), ("b", "room_storage_full")):
        assert keeper.upload(room, "ada", 8_000).ok
        refused = keeper.upload(room, "bob", 7_001)
        assert (refusal(refused), refused.json()["limit"]) == ((409, expected), 15_000)
        assert keeper.upload(room, "bob", 7_000).ok
    assert keeper.upload("c", "ada", 9_999).ok
    refused = keeper.upload("c", "bob", 2)
    assert (refusal(refused), refused.json()["limit"]) == ((507, "server_storage_full"), 40_000)
    assert keeper.upload("c", "bob", 1).ok
    keeper.delete("/rooms/a/peers/bob")
    assert keeper.upload("c", "bob", 5_000).ok


def test_the_quotas_hold_when_many_come_at_once(keeper: Keeper) -> None:
    for room in ("a", "b", "c", "d"):
        for number in range(4):
            keeper.join(room, f"peer {number}")
    answers = at_once(8, lambda _: keeper.upload("a", "peer 0", 100))
    assert answers == {None: 4, "too_many_files": 4}
    answers = at_once(8, lambda number: keeper.upload("b", f"peer {number % 4}", 4_000))
    assert answers[None] == 3, "15,000 bytes of a room hold three of these"
    # 12,400 are taken, so 27,600 are left: six of these, where the rooms would take more.
    answers = at_once(
        12, lambda number: keeper.upload("cd"[number % 2], f"peer {number % 4}", 4_000)
    )
    assert answers[None] == 6
    assert sum(path.stat().st_size for path in keeper.server.uploads.glob("*.txt")) <= 40_000
    assert len(keeper.server.stored_files()) == 4 + 3 + 6


@pytest.mark.parametrize(
    ("room", "peer_id", "size", "code"),
    [
        ("nowhere", "ada", 10, "room_not_found"),
        ("r", "nobody", 10, "peer_not_found"),
        ("r", "ada", 10, "too_many_files"),
        ("r", "bob", 300_000, "room_storage_full"),
        ("r", "bob", 400_000, "server_storage_full"),
    ],
)
def test_what_cannot_be_kept_is_refused_before_its_bytes_are_stored(
    early: Keeper, room: str, peer_id: str, size: int, code: str
) -> None:
    before = early.begun()
    assert refusal(early.upload(room, peer_id, size))[1] == code
    assert early.begun() == before, "the fields come first, so its receiving never began"
    assert refusal(early.upload(room, peer_id, size, file_first=True))[1] == code
    assert len(early.server.stored_files()) == 1


@pytest.fixture(scope="module")
def early(tmp_path_factory: pytest.TempPathFactory) -> Generator[Keeper]:
    """A server where ada has one file, and may have no other; others may have some bytes."""
    live = LiveServer(
        tmp_path_factory.mktemp("early"),
        PRESENCE_MAX_FILES_PER_PEER=1,
        PRESENCE_MAX_BYTES_PER_ROOM=200_000,
        PRESENCE_MAX_BYTES_TOTAL=300_000,
    ).start()
    keeper = Keeper(live)
    for peer_id in ("ada", "bob"):
        keeper.join("r", peer_id)
    assert keeper.upload("r", "ada", 10).ok
    yield keeper
    live.kill()


def test_a_disk_that_is_nearly_full_is_said_to_be(new_server: Callable[..., LiveServer]) -> None:
    keeper = Keeper(new_server(PRESENCE_MIN_FREE_DISK_BYTES=2**62))
    assert refusal(keeper.join("r", "ada")) == (507, "database_full"), "it lies on the same disk"
    begun = keeper.begun()
    refused = keeper.upload("r", "ada", 3_000_000)
    assert (refusal(refused), refused.json()["limit"]) == ((507, "disk_nearly_full"), 2**62)
    assert keeper.begun() == begun


def test_there_are_only_so_many_rooms(
    new_server: Callable[..., LiveServer], connect: Callable[..., Any]
) -> None:
    keeper = Keeper(new_server(PRESENCE_MAX_ROOMS=3))
    bob = connect(keeper.server)
    assert bob.call("join_room", {"room_name": "r", "peer_id": "bob", "username": "Bob"})["ok"]
    answers = at_once(8, lambda number: keeper.join(f"room {number}", "ada"))
    assert answers == {None: 2, "too_many_rooms": 6}
    refused = keeper.join("one more", "ada")
    assert (refusal(refused), refused.json()["limit"]) == ((409, "too_many_rooms"), 3)
    refusal_ = bob.call("join_room", {"room_name": "more", "peer_id": "bob", "username": "Bob"})
    assert (refusal_["code"], refusal_["limit"]) == ("too_many_rooms", 3)
    assert keeper.peers("r") == {"bob": True}, "a refused move leaves everything as it was"
    assert keeper.join("r", "ada").ok, "a room that exists may be joined"
    assert len(keeper.get("/rooms").json()) == 3


def test_the_longest_away_go_first_with_their_files_when_a_room_keeps_too_many(
    keeper: Keeper, connect: Callable[..., Any]
) -> None:
    for peer_id in ("ada", "bob", "eve"):
        keeper.join("r", peer_id)
    eve = connect(keeper.server)
    eve.call("join_room", {"room_name": "r", "peer_id": "eve", "username": "Eve"})
    file = keeper.upload("r", "ada").json()
    keeper.leave("r", "bob")
    keeper.leave("r", "ada")
    assert keeper.upload("r", "bob").ok, "bob was seen later than ada"
    before = keeper.get("/rooms/r").json()["version"]
    assert keeper.join("r", "dan").ok
    assert keeper.peers("r") == {"bob": False, "eve": True, "dan": True}
    shows(eve, "dan", is_active=True)
    assert "ada" not in str(events(eve, "peer_list_updated")[-1])
    assert keeper.get("/rooms/r").json()["version"] > before
    assert requests.get(keeper.server.url + file["file_url"], timeout=10).status_code == 404
    assert len(keeper.server.stored_files()) == 1
    assert "erased 1 inactive peer of room 'r' with 1 file:" in keeper.server.log_text()


def test_active_peers_never_go(keeper: Keeper) -> None:
    for number in range(5):
        assert keeper.join("r", f"peer {number}").ok, "more than are kept, but all are active"
    assert refusal(keeper.join("r", "one more")) == (409, "room_full")
    assert list(keeper.peers("r").values()) == [True] * 5
    keeper.leave("r", "peer 3")
    assert keeper.join("r", "one more").ok
    assert "peer 3" not in keeper.peers("r")


def counted(session: Session) -> tuple[int, int]:
    """Return what the room r and the server are counted to hold, which is what they do hold."""
    in_room = session.scalars(select(Room.file_bytes).where(Room.name == "r")).one()
    rooms, in_all = session.execute(select(Usage.rooms, Usage.file_bytes)).one()
    assert in_all == (session.scalar(select(func.sum(File.size))) or 0)
    assert rooms == session.scalar(select(func.count(Room.id)))
    return in_room, in_all


def test_what_is_counted_is_what_is_there(session: Session) -> None:
    join(session, "r", "ada")
    attach(session, "1.txt", 10)
    attach(session, "2.txt", 20)
    assert counted(session) == (30, 30)
    files.remove(session, "r", "1.txt")
    assert counted(session) == (20, 20)
    peers.erase(session, "r", "ada")
    assert counted(session) == (0, 0)


def test_data_of_rooms_counts_like_files_and_goes_with_its_room(session: Session) -> None:
    limits = Limits(max_peers=5, max_user_data_bytes=1000)
    full = Quotas(bytes_per_room=100)

    def give(data: dict[str, str], allowed: Quotas = NO_QUOTAS) -> None:
        room_data.change(session, "r", Wish(data, replace=True), limits, allowed, by="ada")

    def held() -> Any:
        assert not quotas.is_miscounted(session)
        return session.execute(select(Usage.file_bytes)).scalar_one()

    join(session, "r", "ada")
    attach(session, "1.txt", 80)
    give({"a": "é"})
    assert held() == 80 + len('{"a":"é"}'.encode())
    give({})
    assert held() == 82
    said = Said("chat", '"hello"', peer_id="ada")
    for _ in range(3):
        broadcasts.keep(session, "r", said, clock.now(), most=2, allowed=NO_QUOTAS)
    assert held() == 82 + 2 * 107
    broadcasts.forget_up_to(session, "r", 2)
    assert held() == 82 + 107
    with pytest.raises(RoomStorageFull, match="data"):
        broadcasts.keep(session, "r", said, clock.now(), most=2, allowed=full)
    peers.erase(session, "r", "ada")
    assert held() == 2
    moderation.remove_room(session, "r")
    assert held() == 0
    join(session, "r", "ada")
    with pytest.raises(RoomStorageFull, match="data"):
        give({"a": "x" * 100}, full)


def test_counting_anew_puts_right_what_was_wrong(session: Session) -> None:
    join(session, "r", "ada")
    attach(session, "1.txt", 10)
    assert not quotas.is_miscounted(session)
    for wrong in (
        "rooms SET file_bytes = 7",
        "rooms SET active_peers = 7",
        "usage SET file_bytes = -1",
        "usage SET rooms = 99",
    ):
        session.connection().exec_driver_sql(f"UPDATE {wrong}")
        assert quotas.is_miscounted(session)
        quotas.recount(session)
        assert counted(session) == (10, 10)
        assert not quotas.is_miscounted(session)


def test_no_limit_means_any_number(session: Session) -> None:
    join(session, "r", "ada")
    for number in range(20):
        attach(session, f"{number}.txt", 10**15)
    with pytest.raises(PeerStorageFull, match="1000 bytes"):
        attach(session, "more.txt", 1, Quotas(bytes_per_peer=1000))


def test_the_number_of_rooms_is_asked_for_new_ones_only(session: Session) -> None:
    join(session, "r", "ada", max_rooms=1)
    join(session, "r", "bob", max_rooms=1)
    with pytest.raises(TooManyRooms):
        join(session, "s", "bob", max_rooms=1)


def test_a_full_database_takes_in_nothing_more_and_loses_nothing(
    new_server: Callable[..., LiveServer], connect: Callable[..., Any]
) -> None:
    keeper = Keeper(new_server(PRESENCE_MAX_DATABASE_BYTES=600_000))
    client = connect(keeper.server)
    join_ada = {"room_name": "r", "peer_id": "ada", "username": "Ada"}
    assert client.call("join_room", join_ada)["ok"]
    big, stored = {"text": "x" * 15_000}, 0

    def fill() -> bool:
        nonlocal stored
        answer = keeper.join(f"room {stored}", "ada", user_data=big)
        stored += answer.ok
        return answer.status_code == 507

    eventually(fill, "the database is full", 60, interval=0.05)
    assert client.call("update_user_data", {"user_data": big})["code"] == "database_full"
    refused = client.call("join_room", {**join_ada, "room_name": "another"})
    assert refused["code"] == "database_full"
    # Who is there already stays, comes back, has less, and leaves.
    assert keeper.join("room 0", "ada").ok
    assert client.call("update_user_data", {"user_data": {}, "replace": True})["ok"]
    assert client.call("leave_room", {})["ok"]
    url = f"{keeper.server.url}/api/webrtc/rooms"
    assert len(requests.get(url, timeout=10).json()) == stored + 1
    for number in range(stored):
        assert requests.delete(f"{url}/room {number}", timeout=10).ok
    eventually(lambda: keeper.join("new", "bob").ok, "there is room again", 30)
