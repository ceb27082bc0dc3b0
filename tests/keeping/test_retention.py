"""Retention: what is kept for long enough goes, by the upkeep and by ``flask sweep``."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import func, select, update

from local_cluster.live_server import LiveServer
from local_cluster.waiting import eventually
from presence.config import InvalidSetting, Settings
from presence.domain.peers import made_rooms, peers
from presence.domain.peers.limits import Limits
from presence.domain.rooms import retention, rooms
from presence.domain.values import clock
from presence.storage import database
from presence.storage.models import Activity, File, Peer, Room, Usage
from presence.transport.process.sweeping import Sweeper
from tests.keeping.conftest import Keeper
from tests.keeping.domain_calls import attach, join
from tests.support.clients import events, hears, shows
from tests.support.commands import flask

NewServer = Callable[..., LiveServer]


@pytest.mark.parametrize("value", ["30", "-1d", "0d", "1 month", "never", "1.5h"])
def test_a_duration_that_is_none_is_refused_at_the_start(value: str) -> None:
    with pytest.raises(InvalidSetting, match="PRESENCE_KEEP_FILES must be a number followed by"):
        Settings.from_environment({"PRESENCE_KEEP_FILES": value})


def test_everything_stays_for_ever_by_default() -> None:
    assert retention.Rules() == retention.Rules(None, None, None, None, 0)
    assert Settings().keep_inactive_peers == "forever"
    assert Settings.from_environment({"PRESENCE_KEEP_FILES": "2w"}).keep_files == "2w"


def test_an_overdue_peer_goes_and_its_room_is_told(
    new_server: NewServer, connect: Callable[..., Any]
) -> None:
    keeper = Keeper(new_server(PRESENCE_KEEP_INACTIVE_PEERS="2s"))
    eve = connect(keeper.server)
    eve.call("join_room", {"room_name": "r", "peer_id": "eve", "username": "Eve"})
    keeper.join("r", "ada", secret="marker")
    file = keeper.upload("r", "ada").json()
    keeper.leave("r", "ada")
    shows(eve, "ada", is_active=False)
    eventually(lambda: list(keeper.peers("r")) == ["eve"], "ada is forgotten, and eve is not")
    eventually(
        lambda: "ada" not in str(events(eve, "peer_list_updated")[-1]), "the room is told of it"
    )
    assert keeper.get(f"/../..{file['file_url']}").status_code == 404
    assert keeper.server.stored_files() == []
    assert "not seen for 2s" in keeper.server.log_text()
    figures = keeper.get("/../../metrics").text
    assert "presence_peers_erased_total 1.0" in figures


def test_overdue_files_rooms_and_activity_go(
    new_server: NewServer, connect: Callable[..., Any]
) -> None:
    keeper = Keeper(
        new_server(
            PRESENCE_KEEP_FILES="1s", PRESENCE_KEEP_EMPTY_ROOMS="1s", PRESENCE_KEEP_ACTIVITY="1s"
        )
    )
    eve, watcher = connect(keeper.server), connect(keeper.server)
    eve.call("join_room", {"room_name": "r", "peer_id": "eve", "username": "Eve"})
    keeper.join("s", "ada")
    watcher.call("watch", {})
    file = keeper.upload("r", "eve").json()
    keeper.delete("/rooms/s/peers/ada")
    deleted = hears(eve, "file_deleted")
    assert (deleted["filename"], deleted["peer_id"]) == (file["filename"], "eve")
    eventually(lambda: shows(eve, "eve", True)["uploaded_files"] == [], "the list shows none")
    eventually(lambda: list(keeper.get("/rooms").json()) == ["r"], "the empty room is removed")
    hears(watcher, "rooms_changed")
    eventually(
        lambda: keeper.get("/rooms/r/activity").json()["activity"] == [], "the past is forgotten"
    )
    assert keeper.peers("r") == {"eve": True}
    assert keeper.server.stored_files() == []


def age(app: Flask, model: Any, column: str, **by: float) -> None:
    """Make all rows of a table so much older."""
    with app.app_context(), database.writing() as session:
        session.execute(update(model).values({column: clock.now() - timedelta(**by)}))


def swept(app: Flask, **settings: Any) -> Any:
    """Sweep with other settings, and return what went."""
    run = app.extensions["presence"]
    run.settings = Settings(
        database_url=run.settings.database_url, upload_dir=run.settings.upload_dir, **settings
    )
    with app.app_context():
        return Sweeper(run).sweep()


def count(app: Flask, model: Any) -> int:
    with app.app_context(), database.reading() as session:
        return session.execute(select(func.count()).select_from(model)).scalar_one()


def test_only_what_is_overdue_goes_however_many_there_are(app: Flask) -> None:
    with app.app_context(), database.writing() as session:
        join(session, "r", "active")
        room_id = session.scalars(select(Room.id)).one()
        now = clock.now()
        for number in range(retention.WINDOW * 2 + 10):
            last_seen = now - timedelta(days=number % 3)
            session.add(
                Peer(
                    room_id=room_id,
                    peer_id=f"{number}",
                    username="x",
                    joined_at=last_seen,
                    last_seen=last_seen,
                    user_data={},
                )
            )
    gone = swept(app, keep_inactive_peers="1d", max_kept_peers=0)
    left = 1 + len([n for n in range(retention.WINDOW * 2 + 10) if n % 3 == 0])
    assert count(app, Peer) == left
    assert gone.peers == retention.WINDOW * 2 + 11 - left
    with app.app_context(), database.reading() as session:
        assert rooms.view(session, "r").active_peers == 1
    assert swept(app, keep_inactive_peers="forever", max_kept_peers=10).peers == left - 10
    assert count(app, Peer) == 10


def test_somebody_who_came_back_meanwhile_stays(app: Flask) -> None:
    with app.app_context(), database.writing() as session:
        join(session, "r", "ada")
        row_id = session.scalars(select(Peer.id)).one()
    age(app, Peer, "last_seen", days=9)
    rules = retention.Rules(inactive_peers=timedelta(days=1), empty_rooms=timedelta(0))
    with app.app_context(), database.writing() as session:
        before = rooms.identify(session, "r")[1]
        assert retention.erase_peers(session, rules, "r", [row_id]).peer_ids == ()
        assert retention.remove_room(session, rules, "r") is None
        assert rooms.identify(session, "r")[1] == before, "nothing that the room shows changed"


def test_a_room_that_was_made_stays_and_keeps_peers_for_its_own_time(app: Flask) -> None:
    limits = Limits(max_peers=10, max_user_data_bytes=1000)
    with app.app_context(), database.writing() as session:
        for room, terms in {"short": {"keep_inactive": 86_400}, "long": {}}.items():
            made_rooms.put(session, room, terms, closed=None, limits=limits, maker=None)
            join(session, room, "ada")
            peers.leave(session, room, "ada")
    age(app, Peer, "last_seen", days=2)
    age(app, Room, "created_at", days=2)
    assert swept(app).peers == 1, "where the server keeps peers for ever"
    assert count(app, Peer) == 1
    assert swept(app, keep_inactive_peers="1d", keep_empty_rooms="1d").peers == 1
    age(app, Room, "empty_since", days=2)
    assert swept(app, keep_empty_rooms="1d").rooms == 0
    assert count(app, Room) == 2


def test_a_room_made_anew_begins_where_the_old_one_ended(app: Flask) -> None:
    with app.app_context(), database.writing() as session:
        for _ in range(5):
            last = join(session, "r", "ada").version
    age(app, Peer, "last_seen", days=9)
    with app.app_context(), database.writing() as session:
        session.connection().exec_driver_sql("DELETE FROM sessions")
    swept(app, keep_inactive_peers="1d")
    age(app, Room, "empty_since", days=9)
    assert swept(app, keep_empty_rooms="1d").rooms == 1
    assert count(app, Room) == count(app, Activity) == 0
    with app.app_context(), database.writing() as session:
        assert session.scalars(select(Usage.rooms)).one() == 0
        assert join(session, "r", "ada").version > last
        assert join(session, "r", "ada").version > last


def run_sweep(server: LiveServer, *arguments: str, **settings: str) -> str:
    """Run ``flask sweep`` with the settings of a server, and return what it says."""
    ran = flask("sweep", *arguments, **{**server.settings, **settings})
    assert (ran.returncode == 0) is (not arguments or "never" not in arguments), ran.stderr
    return ran.stdout + ran.stderr


def test_sweeping_beside_the_server_removes_and_the_server_tells(
    new_server: NewServer, connect: Callable[..., Any]
) -> None:
    keeper = Keeper(new_server())
    server = keeper.server
    eve = connect(server)
    eve.call("join_room", {"room_name": "r", "peer_id": "eve", "username": "Eve"})
    keeper.join("r", "ada")
    keeper.upload("r", "ada")
    keeper.leave("r", "ada")
    lost = server.uploads / ("0" * 32 + ".txt")
    recent = server.uploads / ("1" * 32 + ".txt")
    foreign = server.uploads / "README"
    for path, hours in ((lost, 7), (recent, 1), (foreign, 7)):
        path.write_text("x")
        os.utime(path, (time.time() - hours * 3600,) * 2)
    last_seen = datetime.fromisoformat(shows(eve, "ada", is_active=False)["last_seen"])
    eventually(
        lambda: datetime.now(UTC) - last_seen >= timedelta(seconds=1),
        "ada's last sign of life is a second ago",
    )
    before = server.stored_files()

    said = run_sweep(server, "--dry-run", PRESENCE_KEEP_INACTIVE_PEERS="1s")
    assert said.startswith("Would remove 1 peer with its files, 0 other files, 0 rooms,")
    assert "and 1 file without a row" in said
    assert server.stored_files() == before
    assert list(keeper.peers("r")) == ["eve", "ada"]

    said = run_sweep(server, PRESENCE_KEEP_INACTIVE_PEERS="1s")
    assert said.startswith("Removed 1 peer, 1 file, 0 rooms,")
    assert "and 1 file without a row" in said
    assert server.stored_files() == sorted([recent.name, foreign.name])
    assert list(keeper.peers("r")) == ["eve"]
    eventually(
        lambda: "ada" not in str(events(eve, "peer_list_updated")[-1]), "the server tells the room"
    )
    assert keeper.join("r", "ada").ok, "the server works on"
    assert "Removed 0 peers" in run_sweep(server, PRESENCE_KEEP_INACTIVE_PEERS="1d")
    assert "must be a number followed by" in run_sweep(server, "--orphans", "never")


def test_sweeping_needs_the_tables_of_this_version(tmp_path: Path) -> None:
    ran = flask("sweep", DATABASE_URL=f"sqlite:///{tmp_path}/new.db")
    assert ran.returncode != 0
    assert "Start the server once" in ran.stderr


def test_sweeping_in_two_places_removes_everything_once(app: Flask) -> None:
    with app.app_context(), database.writing() as session:
        join(session, "r", "ada")
        for number in range(30):
            attach(session, f"{number:032x}.txt", 1)
    age(app, File, "uploaded_at", days=2)
    with ThreadPoolExecutor(2) as pool:
        went = [both.files for both in pool.map(lambda _: swept(app, keep_files="1d"), range(2))]
    assert sum(went) == 30
    assert count(app, File) == 0
