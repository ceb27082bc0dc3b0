"""The overview: totals, cards or a table, only rooms with people, all of it in the address."""

from __future__ import annotations

from flask.testing import FlaskClient

from local_cluster.live_server import LiveServer
from tests.pages.conftest import Visit
from tests.pages.over_rest import join_over_rest
from tests.pages.reading import join, leave, read, words
from tests.support.axe import findings


def test_it_says_how_many_are_where_and_sorts_a_table(client: FlaskClient) -> None:
    assert 'id="totals"' not in read(client, "/")
    join(client, "a-room", "p")
    join(client, "b-room", "p")
    join(client, "b-room", "q")
    join(client, "c-room", "p")
    leave(client, "c-room", "p")
    assert "3 people in 2 rooms of 3" in words(read(client, "/"))
    only = read(client, "/?active=1")
    assert ("b-room" in only, "c-room" in only) == (True, False)

    def order(query: str) -> str:
        page = read(client, f"/?view=table&{query}")
        return "".join(sorted("abc", key=lambda name: page.index(f"{name}-room</bdi>")))

    assert order("sort=name") == "abc"
    assert order("sort=-name") == "cba"
    assert order("sort=here") == "cab"
    assert order("sort=-ever")[0] == "b"
    assert 'aria-sort="descending"' in read(client, "/?view=table&sort=-here")
    for odd in ("sort=id", "sort=--name", "view=x&active=2", "sort=%00"):
        assert "a-room" in read(client, f"/?{odd}")
    leave(client, "a-room", "p")
    for peer_id in "pq":
        leave(client, "b-room", peer_id)
    assert "Nobody is in any room" in words(read(client, "/?active=1"))


def test_what_is_looked_at_survives_a_reload_and_back(
    visit: Visit, site: LiveServer, room: str
) -> None:
    join_over_rest(site, f"{room}-1", "ada")
    seeker = visit("/", width=360)
    seeker.is_live()
    seeker.page.fill("#search", room)
    seeker.sees(".room-card", f"{room}-1")
    seeker.page.select_option("#view", "table")
    seeker.sees(".rooms-table", f"{room}-1")
    seeker.page.get_by_role("link", name="Here").press("Enter")
    seeker.sees("th[aria-sort=descending]", "Here")
    seeker.page.locator("#active").press("Space")
    seeker.sees_no(".empty")
    address = seeker.page.url
    assert [part in address for part in ("view=table", "sort=-here", "active=1")] == [True] * 3
    assert findings(seeker) == []
    assert seeker.page.evaluate("document.documentElement.scrollWidth") <= 360
    seeker.page.reload()
    seeker.sees("th[aria-sort=descending]", "Here")
    assert seeker.page.is_checked("#active")
    # Back, step by step, and what is shown with it.
    for _ in range(2):
        seeker.page.go_back()
    seeker.sees(".rooms-table")
    seeker.sees_no("th[aria-sort]")
    assert not seeker.page.is_checked("#active")
    seeker.page.go_back()
    seeker.sees(".room-card", f"{room}-1")
    assert seeker.page.input_value("#search") == room


def test_what_is_not_found_is_opened_from_where_that_is_said(visit: Visit, room: str) -> None:
    seeker = visit("/")
    seeker.is_live()
    name = f"{room} & new?"
    seeker.page.fill("#search", name)
    seeker.sees("#rooms .empty", "contains")
    seeker.page.get_by_role("link", name="Open it").click()
    seeker.sees("h1", name)


def test_pages_of_rooms_are_the_next_and_the_one_before_however_sorted(
    client: FlaskClient,
) -> None:
    for number in range(60):
        join(client, f"room-{number}", "p")
    for query in ("sort=name", "sort=-here", ""):
        page = words(read(client, f"/?page=2&{query}"))
        assert ("← Previous" in page, "Next →" in page) == (True, True)
