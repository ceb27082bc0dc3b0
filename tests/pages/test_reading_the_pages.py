"""What the pages say to somebody who only reads them, without JavaScript."""

from __future__ import annotations

import html
import re
from urllib.parse import quote

import pytest
from flask.testing import FlaskClient
from markupsafe import escape

from tests.pages.reading import HOSTILE_NAMES, join, leave, read, words


def test_a_new_server_says_that_there_are_no_rooms(client: FlaskClient) -> None:
    assert "No rooms yet" in words(read(client, "/"))


def test_the_overview_counts_who_is_here_and_who_ever_was(client: FlaskClient) -> None:
    join(client, "studio", "a")
    join(client, "studio", "b")
    leave(client, "studio", "b")
    assert "1 of 100 here · 2 ever" in words(read(client, "/"))


@pytest.mark.parametrize("name", HOSTILE_NAMES)
def test_any_room_name_is_shown_as_it_is_and_its_link_leads_to_it(
    client: FlaskClient, name: str
) -> None:
    join(client, name)
    page = read(client, "/")
    link = re.search(r'class="room-link" href="([^"]+)"', page)
    assert link
    assert f"<bdi>{escape(name)}</bdi>" in page
    room = read(client, html.unescape(link[1]))
    assert (
        f"<bdi>{html.escape(name)}</bdi>".replace("&quot;", "&#34;").replace("&#x27;", "&#39;")
        in room
    )


@pytest.mark.parametrize(
    "path", ["/", "/rooms/studio", "/rooms/studio/live", "/fragments/rooms", "/doctor"]
)
def test_nothing_that_people_write_becomes_markup_and_no_page_has_inline_code(
    client: FlaskClient, path: str
) -> None:
    evil = '"><script>alert(1)<∕script><img src=x onerror=alert(1)>'
    join(
        client, "studio", evil, evil[:64], role=evil, avatar="javascript:alert(1)", **{evil: [evil]}
    )
    join(client, evil)
    page = read(client, path)
    assert "<img src=x" not in page
    assert not re.search(r"<script(?![^>]* src=)", page)
    assert not re.search(r"<[^>]+\s(style|on\w+)=", page)
    policy = client.get(path).headers["Content-Security-Policy"]
    assert "script-src 'self';" in policy
    assert "unsafe" not in policy


def test_every_address_in_the_pages_is_on_this_server(client: FlaskClient) -> None:
    join(client, "studio", avatar="https://example.com/avatar.jpg")
    for path in ("/", "/rooms/studio", "/doctor"):
        assert not re.search(r'(?:src|href)="(?:https?:)?//', read(client, path))


def test_a_picture_of_this_server_is_an_avatar_and_any_other_is_replaced_by_initials(
    client: FlaskClient,
) -> None:
    own = f"uploads/{'a' * 32}.png"
    join(client, "studio", "own", "Own Picture", avatar=own)
    join(client, "studio", "far", "Far Away", avatar="https://example.com/a.png")
    join(client, "studio", "odd", "Odd One", avatar=f"/{own}?x")
    page = read(client, "/rooms/studio")
    assert page.count('<img class="face"') == 1
    assert f'src="/{own}/thumbnail"' in page
    assert ">FA</span>" in page


def test_user_data_is_a_tree_with_every_kind_of_value(client: FlaskClient) -> None:
    join(client, "studio", role="host", list=[1, True, None], nested={"theme": "dark"}, empty={})
    page = read(client, "/rooms/studio")
    assert '<span class="key">theme</span> <span class="value text">dark</span>' in page
    assert '<span class="value word">null</span>' in page
    assert '<span class="value object">{}</span>' in page
    assert "list [3] · nested {1} · empty {0}" in words(page)


def test_a_peer_with_thousands_of_values_does_not_swell_the_page(client: FlaskClient) -> None:
    join(client, "studio", many=[[] for _ in range(4000)])
    page = read(client, "/rooms/studio")
    assert len(page) < 60_000
    assert "more values" in words(page)


def test_a_room_that_nobody_has_joined_says_so_and_can_be_joined(client: FlaskClient) -> None:
    page = words(read(client, "/rooms/brand%20new"))
    assert "nobody has joined yet" in page
    assert "Nobody is here just now" in page


def test_an_open_server_shows_what_an_admin_would_see_and_says_that_nobody_is_one(
    client: FlaskClient,
) -> None:
    join(client, "studio", "ada", "Ada")
    assert "nobody is an admin" in words(read(client, "/admin"))
    shown = read(client, "/admin/live?room=studio")
    assert "Ada" in words(shown)
    assert "1 of 100" in words(shown)
    assert 'data-act="kick"' not in shown
    for odd in ("nowhere", "a/b", "x" * 300):
        assert "Rooms 1" in words(read(client, f"/admin/live?room={odd}"))


def test_one_field_opens_any_room(client: FlaskClient) -> None:
    answer = client.get("/rooms", query_string={"name": " a?b "})
    assert answer.status_code == 303
    assert answer.headers["Location"] == "/rooms/a?b".replace("?", quote("?"))


@pytest.mark.parametrize("name", ["a/b", "..", "", "x" * 129])
def test_a_name_that_no_room_can_have_is_explained_at_the_field(
    client: FlaskClient, name: str
) -> None:
    answer = client.get("/rooms", query_string={"name": name})
    assert answer.status_code == 422
    assert 'aria-invalid="true"' in answer.text
    assert "The name must" in words(answer.text)


def test_many_rooms_are_searched_and_paged(client: FlaskClient) -> None:
    for number in range(30):
        join(client, f"room {number:02d}")
    first = read(client, "/")
    assert first.count('class="room-link"') == 24
    assert "Page 1 of 2, 30 rooms" in words(first)
    assert read(client, "/?page=2").count('class="room-link"') == 6
    assert read(client, "/?page=99").count('class="room-link"') == 6
    assert read(client, "/?search=OOM%200").count('class="room-link"') == 10
    assert "No room’s name contains" in words(read(client, "/?search=100%25"))


def test_rooms_with_people_in_them_come_first(client: FlaskClient) -> None:
    join(client, "alive")
    join(client, "left since")
    leave(client, "left since")
    page = read(client, "/")
    assert page.index("alive") < page.index("left since")


def test_a_wrong_link_is_a_page_for_people_and_json_for_programs(client: FlaskClient) -> None:
    assert "There is nothing at this address" in words(read(client, "/rooms/a/b/c", 404))
    for path in ("/nowhere", "/api/nowhere"):
        assert client.get(path).get_json()["code"] == "not_found"
    assert client.get("/api/nowhere", headers={"Accept": "text/html"}).is_json


def test_a_name_that_no_room_can_have_in_a_link_is_explained_by_a_page(client: FlaskClient) -> None:
    page = read(client, "/rooms/" + "x" * 129, 422)
    assert "at most 128 characters" in words(page)
