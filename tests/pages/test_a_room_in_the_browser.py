"""Two people, each in their own browser, in one room: what one does, the other sees."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
import requests

from local_cluster.live_server import LiveServer
from local_cluster.waiting import eventually
from tests.pages.conftest import Visit
from tests.pages.over_rest import join_over_rest, rest
from tests.pages.reading import HOSTILE_NAMES
from tests.support.visitors import room_path


def test_two_people_see_each_other_come_change_and_go(visit: Visit, room: str) -> None:
    ada, bo = visit(room_path(room)), visit(room_path(room))
    ada.join("Ada")
    bo.sees_here("Ada")
    bo.join("Bo")
    ada.sees_here("Bo")
    ada.sees("#people .self", "you")

    ada.edit('{"role": "moderator", "mood": {"now": "calm"}}')
    ada.page.click("#data-form button.primary")
    ada.sees("#data-hint", "Saved")
    bo.sees("#people .person", "moderator")
    bo.person("Ada").locator("summary").click()
    bo.sees("#people .tree", "calm")

    ada.page.click("#leave-button")
    ada.sees("#you-news", "You have left")
    bo.sees_away("Ada")
    bo.sees("#activity", "left")
    ada.page.get_by_role("button", name="Rejoin").click()
    bo.sees_here("Ada")
    bo.sees("#summary", "2 of 100 here")

    ada.close()
    bo.sees_away("Ada")


def test_somebody_who_has_joined_nothing_sees_a_room_change(
    visit: Visit, site: LiveServer, room: str
) -> None:
    observer = visit(room_path(room))
    observer.is_live()
    observer.sees("#people", "Nobody is here")
    join_over_rest(site, room, "ada", role="host")
    observer.sees_here("ada")
    rest(site, room, "leave", peer_id="ada")
    observer.sees_away("ada")


def test_the_overview_changes_without_reloading(visit: Visit, site: LiveServer, room: str) -> None:
    observer = visit("/")
    observer.is_live()
    observer.page.fill("#name", "half a na")
    join_over_rest(site, room, "ada")
    card = observer.sees(".room-card", room)
    assert "1 of 100 here" in " ".join(card.inner_text().split())
    join_over_rest(site, room, "bo")
    observer.sees(".room-card", "2 of 100 here")
    assert observer.page.input_value("#name") == "half a na"


def test_rooms_are_found_while_one_types(visit: Visit, site: LiveServer, room: str) -> None:
    for number in range(8):
        join_over_rest(site, f"{room} {number}", "ada")
    seeker = visit("/")
    seeker.page.fill("#search", f"{room} 5")
    seeker.sees_no(".room-card", f"{room} 4")
    seeker.sees(".room-card", f"{room} 5")
    seeker.page.fill("#search", "nothing is called this")
    seeker.sees("#rooms", "No room’s name contains")


def test_typed_text_focus_scroll_and_what_was_opened_stay_while_the_room_changes(
    visit: Visit, site: LiveServer, room: str
) -> None:
    for number in range(40):
        join_over_rest(site, room, f"peer{number:02d}", n=number)
    ada = visit(room_path(room))
    ada.is_live()
    ada.sees_here("peer39")
    ada.person("peer03").locator("summary").click()
    people = ada.page.locator("#people")
    people.evaluate("element => (element.scrollTop = 300)")
    ada.page.locator("#username").press_sequentially("Half a na")
    ada.page.evaluate("document.getElementById('username').setSelectionRange(2, 4)")

    join_over_rest(site, room, "somebody new", n=0)
    rest(site, room, "update-data", {"user_data": {"n": "changed"}}, peer_id="peer03")
    ada.sees_here("somebody new")
    ada.sees("#people .tree", "changed")

    assert ada.page.input_value("#username") == "Half a na"
    focus = "[document.activeElement.id, document.activeElement.selectionStart]"
    assert ada.page.evaluate(focus) == ["username", 2]
    assert people.evaluate("element => element.scrollTop") == 300


def test_the_servers_own_words_stand_at_the_field_it_refuses(visit: Visit, room: str) -> None:
    ada = visit(room_path(room))
    ada.page.click("summary:has-text('Peer id')")
    ada.page.fill("#peer-id", "a/b")
    ada.page.fill("#username", "Ada")
    ada.page.click("#join-button")
    ada.sees("#join-problem", "peer_id must not contain “/”")
    assert ada.page.get_attribute("#peer-id", "aria-invalid") == "true"
    ada.page.fill("#peer-id", "ada")
    ada.page.click("#join-button")
    ada.is_in()

    for text, problem in {
        "{": "not JSON yet",
        "[1]": "user_data must be an object",
        json.dumps({"big": "x" * 17_000}): "at most 16384 are allowed",
    }.items():
        ada.edit(text)
        ada.page.click("#data-form button.primary")
        ada.sees("#data-problem", problem)
        assert ada.page.get_attribute("#user-data", "aria-invalid") == "true"
    ada.page.click("#data-revert")
    ada.sees_no("#data-problem")
    assert ada.page.input_value("#user-data") == "{}"


def test_what_one_types_is_not_overwritten_by_ones_own_other_tab(
    visit: Visit, site: LiveServer, room: str
) -> None:
    ada = visit(room_path(room))
    ada.join("Ada")
    peer_id = ada.page.input_value("#me")
    ada.edit('{"draft": 1}')
    rest(site, room, "update-data", {"user_data": {"elsewhere": 2}}, peer_id=peer_id)
    ada.sees("#data-hint", "changed elsewhere")
    assert ada.page.input_value("#user-data") == '{"draft": 1}'
    ada.page.click("#data-revert")
    assert json.loads(ada.page.input_value("#user-data")) == {"elsewhere": 2}


def test_a_full_room_says_so(
    visit: Visit, new_server: Callable[..., LiveServer], room: str
) -> None:
    small = new_server(PRESENCE_MAX_PEERS=1)
    join_over_rest(small, room, "first")
    ada = visit(room_path(room), server=small)
    ada.sees("#summary .badge", "full")
    ada.page.fill("#username", "Ada")
    ada.page.click("#join-button")
    ada.sees("#join-problem", "is full: its only place is taken")
    rest(small, room, "leave", peer_id="first")
    ada.sees_no("#summary .badge")
    ada.join("Ada")


def test_a_reload_and_a_restart_of_the_server_bring_one_back_into_the_room(
    visit: Visit, new_server: Callable[..., LiveServer], room: str
) -> None:
    server = new_server()
    ada, bo = visit(room_path(room), server=server), visit(room_path(room), server=server)
    ada.join("Ada")
    bo.sees_here("Ada")
    ada.page.reload()
    ada.is_in()
    bo.sees_here("Ada")

    server.kill()
    ada.sees("#connection", "Connection lost. Reconnecting")
    server.start()
    ada.is_live()
    bo.is_live()
    ada.sees("#you-news", "The connection is back")
    bo.sees_here("Ada")
    bo.sees("#summary", "1 of 100 here")


def test_being_taken_out_of_the_room_is_said(visit: Visit, site: LiveServer, room: str) -> None:
    ada = visit(room_path(room))
    ada.join("Ada")
    rest(site, room, "leave", peer_id=ada.page.input_value("#me"))
    ada.sees("#you-news", "ended over REST")
    ada.sees("#join-button")


@pytest.mark.parametrize("name", HOSTILE_NAMES[1::2])
def test_names_and_data_from_other_people_run_nothing(
    visit: Visit, site: LiveServer, name: str
) -> None:
    evil = '<img src=x onerror="window.hacked=1">'
    join_over_rest(site, name, f"{evil}{name}"[:60], role=evil, **{evil: [evil, {"__proto__": 1}]})
    ada = visit(room_path(name))
    ada.join(f"{evil}"[:64])
    ada.sees("h1", name)
    ada.sees_here(evil[:20])
    ada.page.locator("#people summary").first.click()
    ada.page.fill("#send-name", evil[:50])
    ada.page.click("#send-form button")
    ada.sees("#events .event-name", evil[:50])
    ada.sees("#send-problem", "no event")
    for line in ada.page.locator("#events .event-line").all():
        line.click()
    assert ada.page.evaluate("window.hacked") is None


def test_a_name_with_every_awkward_character_is_opened_from_the_overview(
    visit: Visit, site: LiveServer
) -> None:
    name = "50% of a?b#c & “q” 'x' +1"
    ada = visit("/")
    ada.page.fill("#name", name)
    ada.page.keyboard.press("Enter")
    ada.sees("h1", name)
    ada.join("Ada")
    rooms = requests.get(f"{site.url}/api/webrtc/rooms", timeout=10).json()
    assert rooms[name]["active_peer_count"] == 1


def test_two_tabs_of_one_peer_are_two_sessions(visit: Visit, room: str) -> None:
    ada, again = visit(room_path(room)), visit(room_path(room))
    for tab in (ada, again):
        tab.join("Ada", "ada")
    ada.sees("#people .self", "2 sessions")
    again.page.click("#leave-button")
    ada.sees_no("#people .self", "2 sessions")
    ada.sees_here("Ada")


def test_a_page_in_the_background_asks_for_nothing_until_it_is_looked_at(
    visit: Visit, site: LiveServer, room: str
) -> None:
    ada = visit(room_path(room))
    ada.is_live()
    ada.sees("#people", "Nobody is here")
    hide = (
        "hidden => Object.defineProperty(document, 'hidden', { value: hidden, configurable: true })"
    )
    eventually(lambda: any("/live" in url for url in ada.requests), "the first fragment")
    ada.page.evaluate(hide, True)
    ada.requests.clear()
    join_over_rest(site, room, "ada")
    ada.page.evaluate("document.getElementById('events-own').click()")
    ada.sees("#events .event-name", "room_changed")
    assert not [url for url in ada.requests if "/live" in url]
    ada.page.evaluate(hide, False)
    ada.page.evaluate("document.dispatchEvent(new Event('visibilitychange')), undefined")
    ada.sees_here("ada")


def test_a_room_with_a_password_asks_for_it(visit: Visit, site: LiveServer, room: str) -> None:
    terms = {"password": "open sesame"}
    requests.put(f"{site.url}/api/webrtc/rooms/{room}", json=terms, timeout=10).raise_for_status()
    ada = visit(room_path(room))
    asking = ada.page.get_by_label("The room’s password")
    assert not asking.is_visible()
    ada.page.fill("#username", "Ada")
    ada.page.click("#join-button")
    ada.sees("#join-problem", "has a password")
    assert asking.get_attribute("aria-invalid") == "true"
    asking.fill("open barley")
    ada.page.click("#join-button")
    ada.sees("#join-problem", "not the password")
    asking.fill("open sesame")
    ada.page.click("#join-button")
    ada.sees("#you-news", "You are in the room")


def test_numbers_that_browsers_would_round_are_kept_or_refused(
    visit: Visit, site: LiveServer, room: str
) -> None:
    exact = 2**53 + 1
    ada = visit(room_path(room))
    ada.join("Ada", "ada")
    rest(site, room, "update-data", {"user_data": {"id": exact, "n": 1}}, peer_id="ada")
    ada.page.click("#own-data-line")
    ada.sees("#data-hint", "shown rounded")
    address = f"{site.url}/api/webrtc/rooms/{room}/peers/ada"

    def stored() -> dict[str, int]:
        data: dict[str, int] = requests.get(address, timeout=10).json()["user_data"]
        return data

    text = ada.page.input_value("#user-data")
    ada.edit(text.replace('"n": 1', '"m": 2'))
    ada.page.click("#data-form button.primary")
    ada.sees("#data-hint", "Saved")
    assert stored() == {"id": exact, "m": 2}

    for number in (str(exact), "-18446744073709551617", "1e999"):
        ada.edit(f'{{"id": {number}, "text": "{exact}"}}')
        ada.page.click("#data-form button.primary")
        ada.sees("#data-problem", f"would change the number {number}")
    assert stored() == {"id": exact, "m": 2}
    ada.edit('{"id": 9007199254740991}')
    ada.page.click("#data-form button.primary")
    ada.sees("#data-hint", "Saved")
    assert stored() == {"id": 2**53 - 1}


def test_no_room_moves_from_under_the_pointer_and_a_search_is_in_the_address(
    visit: Visit, site: LiveServer, room: str
) -> None:
    for number in range(7):
        join_over_rest(site, f"{room} {number}", "ada")
    seeker = visit("/")
    seeker.is_live()
    seeker.page.fill("#search", room)
    seeker.sees_no(".room-card", "busy")
    assert seeker.page.url.endswith(f"/?search={room}")
    last = seeker.page.locator(".room-card", has_text=f"{room} 0")
    last.hover()
    place = last.bounding_box()
    for number in (3, 0):
        join_over_rest(site, f"{room} {number}", "bo")
    seeker.sees(".room-card", "2 of 100")
    eventually(lambda: "2 of 100" in " ".join(last.inner_text().split()), "the card is of now")
    assert last.bounding_box() == place
    seeker.page.mouse.move(2, 2)
    eventually(lambda: last.bounding_box() != place, "it goes to its place")
    seeker.page.reload()
    assert seeker.page.input_value("#search") == room


def test_deep_data_is_read_on_a_phone(visit: Visit, site: LiveServer, room: str) -> None:
    deep: object = "at the bottom"
    for level in range(14):
        deep = {f"level {level}": deep}
    join_over_rest(site, room, "ada", deep=deep)
    reader = visit(room_path(room), width=360)
    reader.person("ada").locator("summary").click()
    value = reader.sees("#people .value", "at the bottom")
    value.scroll_into_view_if_needed()
    assert value.evaluate("element => element.getBoundingClientRect().height") < 60
    assert reader.page.evaluate("document.documentElement.scrollWidth") <= 360


def test_among_a_hundred_one_stands_first_and_finds_whom_one_looks_for(
    visit: Visit, site: LiveServer, room: str
) -> None:
    for number in range(98):
        join_over_rest(site, room, f"peer{number:02d}", role="host" if number == 7 else "guest")
    for number in range(8):
        rest(site, room, "leave", peer_id=f"peer{90 + number}")
    ada = visit(room_path(room))
    ada.sees("#were-here > summary", "Were here: 8")
    ada.join("Ada")
    people = ada.page.locator("#people .person")
    eventually(lambda: "you" in people.first.inner_text(), "one is pinned to the top")

    ada.page.fill("#people-filter", "PEER3")
    ada.sees("#people-news", "10 of 99")
    join_over_rest(site, room, "peer3x")
    ada.sees("#people-news", "11 of 100")
    ada.sees_no("#people .person", "peer45")
    ada.page.fill("#people-filter", "host")
    ada.sees("#people-news", "1 of 100")
    # Who was here is found where they are folded.
    ada.page.fill("#people-filter", "peer95")
    ada.sees("#people .person.away", "peer95")
    ada.page.fill("#people-filter", "")
    ada.sees_here("peer45")


def test_one_s_data_is_a_line_until_one_edits_it(visit: Visit, room: str) -> None:
    ada = visit(room_path(room))
    ada.join("Ada")
    assert not ada.page.is_visible("#user-data")
    ada.page.click("#own-data-line")
    ada.sees("#user-data:focus")
    ada.page.fill("#user-data", '{"mood": "calm"}')
    ada.page.click("#data-form button.primary")
    ada.sees("#data-hint", "Saved")
    ada.page.click("#own-data-line")
    ada.sees("#own-data-line", '{"mood":"calm"}')
    ada.sees_no("#user-data")


def test_the_way_out_stays_as_it_was_while_one_edits(visit: Visit, room: str) -> None:
    for width in (1280, 360):
        ada = visit(room_path(room), width=width)
        ada.join("Ada", f"ada-{width}")
        before = ada.sees("#leave-button").bounding_box()
        ada.edit("{}")
        assert ada.sees("#leave-button").bounding_box() == before


def test_a_long_id_and_a_long_name_stay_within_their_card(
    visit: Visit, site: LiveServer, room: str
) -> None:
    join_over_rest(site, room, "long-" * 12, deep={"a": {"b": {"c": "d" * 80}}})
    for width in (1280, 360):
        ada = visit(room_path(room), width=width)
        person = ada.sees("#people .person")
        person.locator("summary").click()
        edge = person.bounding_box()
        assert edge
        for part in person.locator(".name, .state, .id, summary, .tree").filter(visible=True).all():
            box = part.bounding_box()
            assert box
            assert box["x"] + box["width"] <= edge["x"] + edge["width"]
