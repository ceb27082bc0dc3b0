"""``flask move-database`` brings every row over, goes on where it was killed, spoils nothing."""

from __future__ import annotations

import contextlib
import itertools
import os
import signal
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import requests
from sqlalchemy import text

from local_cluster.live_server import LiveServer
from local_cluster.private_postgresql import PrivatePostgresql
from presence.storage import database, schema
from presence.storage.copies import engines, moving, rows
from presence.storage.copies.engines import CannotCopy
from presence.storage.database import CannotServe
from presence.transport.commands.unserved import unserved
from tests.copies.filled import PEERS, fill, sums, sums_of
from tests.support.commands import flask
from tests.support.rest import Rest


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The URL of an SQLite database with rows of every table."""
    url = f"sqlite:///{tmp_path_factory.mktemp('filled')}/presence.db"
    fill(url)
    return url


def killed_after(pages: int, source: str, target: str) -> None:
    """Move in a process of its own, which is killed when so many pages have been written."""
    child = os.fork()
    if not child:
        rows.PAGE = max(50, PEERS // 20)
        insert_page, left = moving.insert_page, itertools.count(pages, -1)

        def dying(connection: Any, table: rows.Described, page: Any) -> None:
            insert_page(connection, table, page)
            if not next(left):
                os.kill(os.getpid(), signal.SIGKILL)

        moving.insert_page = dying
        with contextlib.suppress(BaseException):
            moved(source, target)
        os._exit(1)
    assert os.waitpid(child, 0)[1] == signal.SIGKILL


def test_a_move_that_was_killed_twice_goes_on_and_brings_everything(
    filled: str, postgresql: PrivatePostgresql, new_server: Callable[..., LiveServer]
) -> None:
    target = postgresql.new_database()
    before = sums(filled)
    killed_after(7, filled, target)
    name = target.split("/")[3].split("?")[0]
    reached = postgresql.execute(name, "SELECT sum(rows) FROM move_progress")[0][0]
    assert 0 < reached < sum(table["rows"] for table in before.values())
    with pytest.raises(CannotCopy, match="unfinished"):
        moved(target, postgresql.new_database())
    with pytest.raises(AssertionError, match="move-database"):
        new_server(DATABASE_URL=target)
    killed_after(7, filled, target)
    assert postgresql.execute(name, "SELECT sum(rows) FROM move_progress")[0][0] > reached

    done = flask("move-database", target, DATABASE_URL=filled)
    assert done.returncode == 0, done.stderr
    assert "Going on" in done.stdout
    assert f"    DATABASE_URL={target}\n" in done.stdout
    assert sums(target) == sums(filled) == before
    assert any("has all of it already" in said for said in moved(filled, target))

    server = new_server(DATABASE_URL=target)
    rest = Rest(server)
    assert rest.join("new", "somebody").status_code == 200, "new rows get ids that are free"
    assert rest.join("room 0 𝄞", "peer 0").status_code == 200
    upload = requests.post(
        f"{server.url}/api/webrtc/upload",
        files={"file": ("a.txt", b"new")},
        data={"room_name": "new", "peer_id": "somebody"},
        timeout=20,
    )
    assert upload.status_code == 200
    serves = flask("move-database", target, DATABASE_URL=filled)
    assert "Stop" in serves.stderr
    server.stop()
    with pytest.raises(CannotCopy, match="holds something else"):
        moved(filled, target)


def test_a_file_that_is_served_is_not_moved(filled: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "_CLAIM_SECONDS", 0.1)
    engine = engines.open_database(filled)
    serving = engines.claimed(engine)
    refused = pytest.raises(CannotServe, match="Another process")
    with serving, refused, unserved(engine):
        pytest.fail("both have it")


def moved(source: str, target: str) -> list[str]:
    said: list[str] = []
    moving.move(engines.open_database(source), engines.open_database(target), said.append)
    return said


def test_every_way_between_databases_keeps_every_row(
    filled: str, postgresql: PrivatePostgresql, tmp_path: Path
) -> None:
    before = sums(filled)
    way = [filled, f"sqlite:///{tmp_path}/a.db", postgresql.new_database()]
    way += [postgresql.new_database(), f"sqlite:///{tmp_path}/b.db"]
    for source, target in itertools.pairwise(way):
        moved(source, target)
        assert sums(target) == before, (source, target)


def test_a_target_with_something_else_is_left_as_it_is(
    filled: str, postgresql: PrivatePostgresql, tmp_path: Path
) -> None:
    strange = postgresql.new_database()
    with engines.changing(engines.open_database(strange)) as connection:
        connection.execute(text("CREATE TABLE invoices (id int)"))
    other = f"sqlite:///{tmp_path}/other.db"
    fill(other, 3)
    before = sums(other)
    for target, named in ((strange, "invoices"), (other, "rooms")):
        with pytest.raises(CannotCopy, match="something else"):
            moved(filled, target)
        engine = engines.open_database(target)
        with engines.snapshot(engine) as connection:
            assert connection.execute(text("SELECT 1 FROM " + named)).all() is not None
    assert sums(other) == before
    begun = postgresql.new_database()
    killed_after(3, filled, begun)
    with pytest.raises(CannotCopy, match="unfinished move from sqlite"):
        moved(other, begun)


def test_a_source_that_changed_between_two_tries_is_moved_as_it_is_now(
    postgresql: PrivatePostgresql, tmp_path: Path
) -> None:
    source, target = f"sqlite:///{tmp_path}/a.db", postgresql.new_database()
    fill(source)
    killed_after(9, source, target)
    with sqlite3.connect(tmp_path / "a.db") as opened:
        opened.execute("UPDATE rooms SET max_peers = 7")
    opened.close()
    assert any("afresh" in said for said in moved(source, target))
    assert sums(target) == sums(source)


REFUSED = {
    "a NUL in JSON": 'UPDATE peers SET user_data = \'{"a": "\\u0000"}\' WHERE id = 5',
    "a NUL in a name": "UPDATE peers SET username = 'a' || char(0) || 'b' WHERE id = 5",
    "a name too long": "UPDATE peers SET username = printf('%.100c', 'x') WHERE id = 5",
    "words for a number": "UPDATE peers SET data_version = 'many' WHERE id = 5",
    "a number too large": "UPDATE peers SET room_id = 3000000000 WHERE id = 5",
}


def test_rows_that_the_target_refuses_are_named_and_can_be_put_right(
    postgresql: PrivatePostgresql, tmp_path: Path
) -> None:
    for number, (kind, statement) in enumerate(REFUSED.items()):
        source, target = f"sqlite:///{tmp_path}/{number}.db", postgresql.new_database()
        fill(source, 10)
        file = tmp_path / f"{number}.db"
        with sqlite3.connect(file) as opened:
            whole = opened.execute("SELECT * FROM peers WHERE id = 5").fetchone()
            opened.execute(statement)
        opened.close()
        with pytest.raises(CannotCopy) as refusal:
            moved(source, target)
        assert "peers" in str(refusal.value), kind
        assert "id 5" in str(refusal.value), kind
        assert revision(target) == schema.UNFINISHED, kind
        with sqlite3.connect(file) as opened:
            places = ", ".join("?" for _ in whole)
            opened.execute(f"REPLACE INTO peers VALUES ({places})", whole)
        opened.close()
        moved(source, target)
        assert sums(target) == sums(source), kind


def test_what_no_database_can_read_is_named(tmp_path: Path) -> None:
    source = f"sqlite:///{tmp_path}/a.db"
    fill(source, 10)
    with sqlite3.connect(tmp_path / "a.db") as opened:
        opened.execute("UPDATE peers SET user_data = '{' WHERE id = 5")
    opened.close()
    with pytest.raises(CannotCopy, match="rows of peers"):
        moved(source, f"sqlite:///{tmp_path}/b.db")


def test_a_lost_row_is_found_at_the_end(
    filled: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = moving.insert_page

    def lossy(connection: Any, table: rows.Described, page: Any) -> None:
        whole(connection, table, page[:-1] if table.name == "files" else page)

    monkeypatch.setattr(moving, "insert_page", lossy)
    target = f"sqlite:///{tmp_path}/b.db"
    with pytest.raises(CannotCopy, match="files"):
        moved(filled, target)
    assert revision(target) == schema.UNFINISHED
    monkeypatch.undo()
    moved(filled, target)
    assert sums(target) == sums(filled)


def revision(url: str) -> str | None:
    with engines.snapshot(engines.open_database(url)) as connection:
        return schema.revision(connection)


def test_sums_tell_any_change_and_no_order(filled: str) -> None:
    engine = engines.open_database(filled)
    table = next(t for t in rows.described() if t.name == "peers")
    with engines.snapshot(engine) as connection:
        every = [row for page in rows.pages(connection, table) for row in page]
    forwards, backwards, without = rows.Digest(), rows.Digest(), rows.Digest()
    forwards.add(every)
    backwards.add(reversed(every))
    without.add([*every[1:], every[1]])
    assert forwards == backwards
    assert forwards != without
    for row in every[:50]:
        assert list(rows.of_line(table, rows.line(row))) == list(row)
    assert sums_of(engine)["peers"]["rows"] == len(every) == PEERS
