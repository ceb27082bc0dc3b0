"""The admin's page: an admin's day, with the page of somebody it happens to beside it."""

from __future__ import annotations

import re

from local_cluster.live_server import LiveServer
from tests.access.conftest import Visit
from tests.support.axe import findings
from tests.support.callers import ROOMS, admin, ask, join
from tests.support.keys import token
from tests.support.visitors import Visitor, room_path


def come(locked: LiveServer, room: str, peer_id: str) -> None:
    """Join a room over REST."""
    made = token(peer_id, room)
    answer = ask(locked, "POST", f"{ROOMS}/{room}/join", made, json=join(room, peer_id))
    assert answer.ok, answer.text


def do(visitor: Visitor, what: str, whom: str, *, asked: bool = True) -> None:
    """Press a button of the table, and say yes where that is asked."""
    visitor.page.get_by_role("button", name=f"{what} {whom}", exact=True).click()
    if asked:
        visitor.page.click("#ask-yes")


def test_an_admin_finds_kicks_bans_closes_erases_and_makes_a_token(
    visit: Visit, locked: LiveServer, room: str
) -> None:
    come(locked, room, "ada")
    come(locked, f"{room}-2", "bo")
    victim = visit(f"{room_path(room)}#token={token('eve', room)}")
    victim.join("Eve")

    boss = visit(f"/admin#token={admin(f'{room}*')}")
    boss.sees("#admin table", f"{room}-2")
    boss.page.fill("#search", f"{room}-2")
    boss.sees("#rooms-title", "1")
    boss.page.fill("#search", room)
    boss.page.get_by_role("link", name=room, exact=True).click()
    boss.sees("#people-of", "eve")
    boss.sees("#admin tbody a[aria-current=true]", room)
    assert findings(boss) == []

    # Asked for once, and not done where the answer is no.
    boss.page.get_by_role("button", name="Kick eve", exact=True).click()
    boss.sees("#ask-words", "Put “eve” out")
    boss.page.keyboard.press("Escape")
    assert victim.page.is_visible("#leave-button")
    do(boss, "Kick", "eve")
    victim.sees("#you-news", "An admin has put you out")
    boss.sees("#news", "“eve” was put out.")

    do(boss, "Ban", "eve")
    victim.sees("#shut", "You are banned from this room")
    boss.page.get_by_role("button", name="Undo").click()
    boss.sees("#news", "“eve” may come back.")
    boss.sees_no("#people-of .badge", "banned")
    victim.page.reload()
    victim.join("Eve")

    do(boss, "Close", room)
    victim.sees("#you-news", "closed this room")
    boss.sees("#admin .badge", "closed")
    do(boss, "Reopen", room, asked=False)
    boss.sees_no("#admin .badge", "closed")
    victim.join("Eve")

    do(boss, "Erase", "eve")
    victim.sees("#you-news", "You were erased")
    boss.sees_no("#people-of", "eve")

    boss.page.fill("#mint-peer", "guest-1")
    # No longer than the token is good with which it is made, which is what is proposed.
    assert 1 <= int(boss.page.input_value("#mint-ttl")) < 60
    boss.page.fill("#mint-ttl", "61")
    boss.page.click("#mint-form button.primary")
    boss.sees("#mint-problem", "ends before")
    boss.page.fill("#mint-ttl", "5")
    boss.page.click("#mint-form button.primary")
    link = boss.sees("#mint-link").input_value()
    guest = visit(link.removeprefix(locked.url))
    guest.join("Guest")
    boss.sees("#people-of", "guest-1")

    do(boss, "Remove", room)
    guest.sees_no("#leave-button")
    boss.sees_no("#admin table tbody", "guest-1")


def test_an_admin_of_some_rooms_sees_these_alone_and_nothing_of_the_server(
    locked: LiveServer, room: str
) -> None:
    come(locked, room, "ada")
    come(locked, f"{room}-2", "bo")
    own = ask(locked, "GET", "/admin/live", admin(room)).text
    assert (f"<bdi>{room}</bdi>" in own, f"{room}-2" in own) == (True, False)
    assert "Webhooks" not in own
    of_all = ask(locked, "GET", "/admin/live", admin("*")).text
    assert f"{room}-2" in of_all
    for word in ("Webhooks", "Workers", "Version", "this one"):
        assert word in of_all
    refused = ask(locked, "GET", f"/admin/live?room={room}-2", admin(room))
    assert (refused.status_code, "bo" in refused.text) == (403, False)
    for made in (None, token("ada", room)):
        assert ask(locked, "GET", "/admin/live", made).status_code in (401, 403)


def test_without_an_admins_token_the_page_says_so(visit: Visit, room: str) -> None:
    visitor = visit("/admin", width=360)
    visitor.sees("#pass")
    assert not visitor.page.is_visible("#admin")
    visitor.page.fill("#pass-token", token("ada", room))
    visitor.page.click("#pass-form button")
    visitor.sees("#shut", "The token does not allow this")
    assert not visitor.page.is_visible("#admin")
    # Nor is a token to be made by who may not.
    assert not visitor.page.is_visible("#mint-form")
    assert findings(visitor) == []
    assert visitor.page.evaluate("document.documentElement.scrollWidth") <= 360


def test_the_server_is_shown_with_connections_leases_limits_and_no_secrets(
    visit: Visit, locked: LiveServer, room: str
) -> None:
    victim = visit(f"{room_path(room)}#token={token('eve', room)}")
    victim.join("Eve")
    came = ask(locked, "POST", f"{ROOMS}/{room}/join", token("a", room), json=join(room, "a"))
    assert came.ok
    boss = visit(f"/admin?room={room}#token={admin('*')}")
    row = boss.sees("#connections tr", f"eve in {room}")
    for text in ("WebSocket", "127.0.0.1", "Chrome", "0:00:"):
        assert text in row.inner_text(), text
    boss.sees("#admin .plain", "lease renewed")
    # Those of now are counted before a minute is over.
    boss.sees("#plot-people", "1 at once")
    for name in ("people", "messages", "latency"):
        label = boss.sees(f"#plot-{name} svg").get_attribute("aria-label") or ""
        assert "over the last hour" in label
    shown = boss.page.inner_text("#admin .settings")
    assert "PRESENCE_MODE" in shown
    assert "SECRET_KEY\n•••" in shown
    used, most = re.findall(r"([\d.]+) [KMG]iB", boss.sees(".facts").inner_text())[:2]
    assert float(used) <= float(most)
    assert findings(boss) == []
    boss.page.emulate_media(forced_colors="active")
    assert boss.page.locator("#plot-people .plot-line").evaluate(
        "line => getComputedStyle(line).stroke !== 'none'"
    )
    boss.open("/admin")
    boss.sees("#connections a", room).click()
    boss.sees("#people-of", "Eve")


def test_tables_are_sorted_by_their_heads_and_stay_so(
    visit: Visit, locked: LiveServer, room: str
) -> None:
    come(locked, f"{room}-a", "ada")
    come(locked, f"{room}-b", "bo")
    come(locked, f"{room}-b", "cem")
    boss = visit(f"/admin?search={room}#token={admin('*')}")

    def order() -> list[str]:
        return [text[-1] for text in boss.page.locator("#admin tbody th a").all_inner_texts()]

    head = boss.page.locator("th", has=boss.page.get_by_role("link", name="Here"))
    head.get_by_role("link").press("Enter")
    boss.sees("th[aria-sort=descending]", "Here")
    assert order() == ["b", "a"]
    head.get_by_role("link").press("Enter")
    boss.sees("th[aria-sort=ascending]", "Here")
    assert order() == ["a", "b"]
    boss.page.reload()
    boss.sees("th[aria-sort=ascending]", "Here")
    assert order() == ["a", "b"]


def test_what_a_proxy_answers_is_said_in_words(visit: Visit, locked: LiveServer, room: str) -> None:
    come(locked, room, "ada")
    boss = visit(f"/admin?room={room}#token={admin('*')}")
    boss.sees("#people-of", "ada")
    page = "<html><h1>502 Bad Gateway</h1></html>"
    boss.page.route(
        "**/kick", lambda route: route.fulfill(status=502, content_type="text/html", body=page)
    )
    do(boss, "Kick", "ada")
    boss.sees("#news", "something before it answered 502. Try again")
    boss.page.unroute_all()
    boss.page.route("**/kick", lambda route: route.abort())
    do(boss, "Kick", "ada")
    boss.sees("#news", "The server does not answer.")
