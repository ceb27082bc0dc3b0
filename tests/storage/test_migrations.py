"""Tables made at once, and tables migrated from the first version on, are those of the models.

Also when two processes start at once.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import alembic.command
import alembic.config
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, inspect, select
from sqlalchemy.orm import Session

from app import create_app
from local_cluster.private_postgresql import PrivatePostgresql
from presence.config import Settings
from presence.domain.peers import peers, sessions, workers
from presence.domain.peers.limits import Limits
from presence.domain.peers.sessions import SocketPresence
from presence.domain.rooms import rooms
from presence.storage import database, schema
from presence.storage.database import CannotServe
from presence.storage.models import Room, db
from tests.support.commands import flask, python

UPGRADE = """
from app import create_app
from presence.config import Settings
from presence.storage import database, schema
import sys
with create_app(Settings(database_url=sys.argv[1])).app_context():
    schema.upgrade()
"""


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty database, once of each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/a.db"
    postgresql: PrivatePostgresql = request.getfixturevalue("postgresql")
    return postgresql.new_database()


@pytest.fixture
def another_url(url: str, request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of another empty database of that kind."""
    if url.startswith("sqlite"):
        return f"sqlite:///{tmp_path}/b.db"
    postgresql: PrivatePostgresql = request.getfixturevalue("postgresql")
    return postgresql.new_database()


def migrations() -> alembic.config.Config:
    config = alembic.config.Config()
    config.set_main_option("script_location", str(schema.MIGRATIONS))
    return config


def texts(options: dict[str, Any]) -> dict[str, str]:
    return {name: str(option) for name, option in options.items()}


def described(connection: Connection) -> dict[str, Any]:
    """Say everything that the database tells of its tables, in an order that does not matter."""
    inspector = inspect(connection)
    dialect = connection.dialect

    def table(name: str) -> dict[str, Any]:
        columns = {
            column["name"]: {**column, "type": column["type"].compile(dialect)}
            for column in inspector.get_columns(name)
        }
        return {
            "columns": columns,
            "primary key": inspector.get_pk_constraint(name),
            "foreign keys": sorted(inspector.get_foreign_keys(name), key=str),
            "unique": sorted(inspector.get_unique_constraints(name), key=str),
            "checks": sorted(inspector.get_check_constraints(name), key=str),
            "indexes": {
                one["name"]: {**one, "dialect_options": texts(one.get("dialect_options", {}))}
                for one in inspector.get_indexes(name)
            },
            "rows": connection.exec_driver_sql(f"SELECT * FROM {name}").all(),
        }

    return {name: table(name) for name in sorted(inspector.get_table_names())}


def test_migrated_tables_are_those_of_the_models(url: str, another_url: str) -> None:
    with create_app(Settings(database_url=url)).app_context():
        alembic.command.upgrade(migrations(), "head")
        assert schema.is_current()
        with db.engine.connect() as connection:
            context = MigrationContext.configure(connection, opts={"compare_type": True})
            assert compare_metadata(context, db.metadata) == []
            migrated = described(connection)
    with create_app(Settings(database_url=another_url)).app_context():
        schema.upgrade()
        assert schema.is_current()
        with db.engine.connect() as connection:
            assert described(connection) == migrated


def test_the_command_of_flask_says_which_version_the_tables_are_of(url: str) -> None:
    def db(command: str) -> str:
        done = flask("db", command, DATABASE_URL=url)
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert db("current") == ""
    db("upgrade")
    assert db("current") == f"{schema.HEAD} (head)\n"


def test_several_processes_migrate_one_after_the_other(url: str) -> None:
    for process in [python(UPGRADE, url) for _ in range(4)]:
        ended = process.finish()
        assert ended.returncode == 0, ended.stderr
    with create_app(Settings(database_url=url)).app_context():
        schema.upgrade()
        if not database.is_sqlite():
            return
        with database.reading() as session:
            assert session.connection().exec_driver_sql("PRAGMA foreign_keys").scalar() == 1
            assert session.connection().exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"


def test_a_database_of_before_knows_how_many_are_active(url: str) -> None:
    """Rooms as revision 0006 had them, with peers by no, one and two sessions."""
    with create_app(Settings(database_url=url)).app_context():
        schema.upgrade()
        with database.writing() as session:
            workers.register(session, "w" * 32, alone=True)
            for peer_id, sids in {"ada": ["s1", "s2"], "bo": ["s3"], "cy": ["s4"]}.items():
                for sid in sids:
                    join(session, peer_id, sid)
            sessions.end_socket(session, "s4")
        alembic.command.downgrade(migrations(), "0006")
        schema.upgrade()
        with database.reading() as session:
            assert session.scalars(select(Room.active_peers)).all() == [2]
            assert [peer.session_count for peer in rooms.view(session, "r").peers] == [2, 1, 0]


def join(session: Session, peer_id: str, sid: str) -> None:
    peers.join(
        session,
        room_name="r",
        peer_id=peer_id,
        username=peer_id,
        new_data={},
        presence=SocketPresence(sid, "w" * 32),
        limits=Limits(max_peers=10, max_user_data_bytes=1000),
    )


def test_tables_of_a_newer_version_are_refused_and_left_as_they_are(
    url: str, tmp_path: Path
) -> None:
    app = create_app(Settings(database_url=url, upload_dir=str(tmp_path / "up")))
    with app.app_context():
        schema.upgrade()
        with db.engine.begin() as connection:
            connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    for _ in range(2):  # as with every request that finds no server
        with pytest.raises(CannotServe, match=r"a version that this one does not know .*'9999'"):
            app.extensions["presence"].start()
    with app.app_context(), db.engine.connect() as connection:
        left = connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar()
    assert left == "9999"
