"""The diary of a room, and how many were there over the last hour."""

from __future__ import annotations

import io
import threading
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import func, select

from presence.domain.rooms import activity, rooms
from presence.domain.values import clock
from presence.storage import database
from presence.storage.models import Activity
from presence.transport.process.runtime import runtime
from tests.pages.reading import join, leave, read, words


def diary(client: FlaskClient, room: str = "studio", **query: Any) -> dict[str, Any]:
    answer = client.get(f"/api/webrtc/rooms/{room}/activity", query_string=query)
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.get_json()
    return body


def told(client: FlaskClient) -> list[str]:
    """Return who did what, oldest first."""
    entries = diary(client)["activity"]
    return [f"{entry['username']} {entry['kind']}" for entry in reversed(entries)]


def update(client: FlaskClient, peer_id: str = "p", **data: object) -> None:
    path = f"/api/webrtc/rooms/studio/update-data?peer_id={peer_id}"
    assert client.post(path, json={"user_data": data}).status_code == 200


@pytest.fixture
def at(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Set the server's clock to a number of minutes after a fixed hour."""
    start = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)

    def set_clock(minutes: float) -> None:
        monkeypatch.setattr(clock, "now", lambda: start + timedelta(minutes=minutes))

    return set_clock


def test_joining_changing_uploading_and_leaving_are_told_in_order(client: FlaskClient) -> None:
    join(client, "studio", "p", "Ada")
    update(client, mood="calm")
    form = {
        "room_name": "studio",
        "peer_id": "p",
        "file": (io.BytesIO(b"Some words.\n"), "notes.txt"),
    }
    stored = client.post("/api/webrtc/upload", data=form).get_json()
    client.delete(f"/api/webrtc/rooms/studio/files/{stored['filename']}")
    leave(client, "studio")
    kinds = ["joined", "updated", "uploaded", "file_deleted", "left"]
    assert told(client) == [f"Ada {kind}" for kind in kinds]
    newest = diary(client, limit=1)["activity"]
    assert [entry["detail"] for entry in newest] == [{"reason": "left"}]
    page = words(read(client, "/rooms/studio"))
    for sentence in ("Ada joined", "Ada changed mood", "Ada uploaded notes.txt", "Ada left"):
        assert sentence in page


def test_joining_again_while_present_and_changing_nothing_are_not_told(client: FlaskClient) -> None:
    join(client, "studio", mood="calm")
    join(client, "studio", mood="calm")
    update(client, mood="calm")
    assert told(client) == ["Ada joined"]


def test_a_peers_updates_within_a_minute_are_one_entry(client: FlaskClient, at: Any) -> None:
    at(0)
    join(client, "studio")
    for number in range(5):
        keys: dict[str, Any] = {"n": number, f"k{number % 2}": number}
        update(client, **keys)
    at(2)
    update(client, n=99)
    newest, burst, _joined = diary(client)["activity"]
    assert (burst["times"], sorted(burst["detail"]["keys"])) == (5, ["k0", "k1", "n"])
    assert (newest["times"], newest["detail"]["keys"]) == (1, ["n"])


def test_who_looks_while_changes_are_being_written_waits_for_them(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    join(client, "studio", "p", "Ada")
    update(client, mood="calm")
    app, began, goes_on = client.application, threading.Event(), threading.Event()
    record = activity.record_updates

    def slowly(*given: Any) -> None:
        began.set()
        goes_on.wait(10)
        record(*given)

    def write() -> None:
        with app.app_context():
            runtime().diary.write()

    monkeypatch.setattr(activity, "record_updates", slowly)
    writer = threading.Thread(target=write)
    writer.start()
    assert began.wait(10)
    threading.Timer(0.1, goes_on.set).start()
    assert told(client) == ["Ada joined", "Ada updated"]
    writer.join(10)


def test_the_diary_keeps_its_newest_entries_only(client: FlaskClient) -> None:
    for _ in range(activity.KEPT // 2 + 5):
        join(client, "studio")
        leave(client, "studio")
    assert len(diary(client, limit=activity.KEPT)["activity"]) == activity.KEPT


def test_what_is_too_long_ago_is_forgotten_sooner_or_later(client: FlaskClient) -> None:
    join(client, "studio")
    many = activity.KEPT * 10
    with client.application.app_context(), database.writing() as session:
        room_id, _version = rooms.identify(session, "studio")
        for number in range(many):
            who = f"p{number}"
            activity.record(
                session, room_id, activity.JOINED, peer_id=who, username=who, at=clock.now()
            )
        kept = session.scalar(select(func.count(Activity.id)))
    assert kept is not None
    assert activity.KEPT <= kept < many / 2
    newest = diary(client, limit=activity.KEPT)["activity"]
    assert [entry["peer_id"] for entry in newest] == [
        f"p{number}" for number in range(many - 1, many - 1 - activity.KEPT, -1)
    ]


def test_erasing_a_peer_erases_what_is_told_of_it(client: FlaskClient) -> None:
    join(client, "studio", "p", "Ada")
    join(client, "studio", "q", "Bo")
    client.delete("/api/webrtc/rooms/studio/peers/p")
    assert told(client) == ["Bo joined"]


def test_a_rest_peer_whose_time_is_over_is_told_to_have_gone_quiet(
    client: FlaskClient, at: Any
) -> None:
    at(0)
    join(client, "studio")
    at(5)
    join(client, "studio", "q", "Bo")
    assert told(client) == ["Ada joined", "Ada left", "Bo joined"]


def test_occupancy_is_the_most_at_once_in_each_of_sixty_minutes(
    client: FlaskClient, at: Any
) -> None:
    at(0)
    join(client, "studio", "a")
    join(client, "studio", "b")
    leave(client, "studio", "b")
    at(0.9)
    leave(client, "studio", "a")
    at(30)
    join(client, "studio", "a")
    leave(client, "studio", "a")
    at(59)
    peaks = diary(client)["occupancy"]["peaks"]
    assert len(peaks) == 60
    assert (peaks[0], peaks[1], peaks[30], peaks[31]) == (2, 0, 1, 0)


def test_who_was_there_before_the_hour_counts_until_leaving(client: FlaskClient, at: Any) -> None:
    at(0)
    join(client, "studio", "a")
    at(0.5)
    join(client, "studio", "b")
    leave(client, "studio", "b")
    at(90)
    assert set(diary(client)["occupancy"]["peaks"]) == {1}


@pytest.mark.parametrize("limit", ["0", "201", "many", "-1", "²", "000000001" + "9" * 30])
def test_a_limit_that_makes_no_sense_is_refused(client: FlaskClient, limit: str) -> None:
    join(client, "studio")
    answer = client.get("/api/webrtc/rooms/studio/activity", query_string={"limit": limit})
    assert (answer.status_code, answer.get_json()["field"]) == (422, "limit")


def test_the_activity_of_an_unknown_room_is_not_found(client: FlaskClient) -> None:
    answer = client.get("/api/webrtc/rooms/nowhere/activity")
    assert (answer.status_code, answer.get_json()["code"]) == (404, "room_not_found")
