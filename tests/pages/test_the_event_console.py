"""The event console: what went in and out, and the lines that do the same."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import requests

from local_cluster.live_server import LiveServer
from tests.pages.conftest import Visit
from tests.support import needs
from tests.support.visitors import Visitor, room_path

if TYPE_CHECKING:
    from playwright.sync_api import Locator


def names(visitor: Visitor) -> list[str]:
    return visitor.page.locator("#events .event-name").all_inner_texts()


def answered(visitor: Visitor, name: str) -> Locator:
    """Wait until an event of the page is answered; return its row."""
    return visitor.sees("#events .event:has(.event-answer:not(:empty))", name)


def test_every_event_and_acknowledgement_is_listed_and_can_be_filtered(
    visit: Visit, room: str
) -> None:
    ada = visit(room_path(room))
    ada.join("Ada")
    ada.sees("#events .event-answer", "ok")
    seen = names(ada)
    assert {"join_room", "join_room_success"} <= set(seen)
    assert "watch" not in seen
    ada.page.check("#events-own")
    ada.sees("#events .event-name", "watch")
    ada.page.uncheck("#events-own")
    ada.page.select_option("#events-direction", "out")
    ada.sees_no("#events .event-name", "join_room_success")
    ada.page.select_option("#events-direction", "")
    ada.page.fill("#events-filter", "success")
    ada.sees("#events .event-name", "join_room_success")
    ada.sees_no("#events .event-name", "peer_joined")
    ada.page.fill("#events-filter", "there is no such thing")
    ada.sees("#events-empty", "No event matches")


def test_paused_it_keeps_what_comes_for_later(visit: Visit, room: str) -> None:
    ada = visit(room_path(room))
    ada.join("Ada")
    answered(ada, "join_room")
    ada.page.click("#events-pause")
    ada.page.click("#send-form button")
    ada.sees("#events-news", "new")
    assert "update_user_data" not in names(ada)
    ada.page.click("#events-pause")
    ada.sees("#events .event-name", "update_user_data")


def test_events_are_copied_and_saved_as_json_lines_without_secrets(
    visit: Visit, site: LiveServer, room: str
) -> None:
    address = f"{site.url}/api/webrtc{room_path(room)}"
    requests.put(address, json={"password": "open sesame"}, timeout=10).raise_for_status()
    ada = visit(room_path(room), permissions=["clipboard-read", "clipboard-write"])
    ada.is_live()
    ada.page.fill("#username", "Ada")
    ada.page.click("#join-button")
    ada.sees("#join-problem", "password")
    ada.page.fill("#room-password", "open sesame")
    ada.page.click("#join-button")
    ada.is_in()
    for row in ada.page.locator("#events .event.out", has_text="join_room").all():
        row.locator("summary").click()
    assert "open sesame" not in ada.page.inner_text("#console")
    ada.page.click("#events-copy")
    ada.sees("#events-copy", "Copied")
    copied = str(ada.page.evaluate("navigator.clipboard.readText()"))
    with ada.page.expect_download() as saving:
        ada.page.click("#events-save")
    saved = Path(saving.value.path()).read_text()
    for text in (copied, saved):
        assert "open sesame" not in text
        lines = [json.loads(line) for line in text.splitlines()]
        sent = [line for line in lines if line["event"] == "join_room"]
        assert [line["answer"]["ok"] for line in sent] == [False, True]
        assert sent[1]["direction"] == "out"
        assert (sent[1]["args"][0]["username"], sent[1]["args"][0]["password"]) == ("Ada", "•••")
        assert all(0 <= line["ms"] < 10_000 for line in sent)


def test_a_row_says_who_and_what_changed_and_what_was_answered_how_soon(
    visit: Visit, room: str
) -> None:
    ada, bo = visit(room_path(room)), visit(room_path(room))
    ada.join("Ada")
    bo.join("Bo")
    ada.page.fill("#send-data", '{"user_data": {"hand": "raised"}}')
    ada.page.click("#send-button")
    row = answered(ada, "update_user_data")
    assert re.fullmatch(r"ok · \d+ ms", row.locator(".event-answer").inner_text())
    line = bo.sees("#events .event", "peer_updated").locator(".event-preview")
    assert line.inner_text() == "Ada hand raised"
    ada.page.fill("#send-data", '{"user_data": {"n": 1, "token": "hidden"}, "remove": ["hand"]}')
    ada.page.click("#send-button")
    assert bo.sees("#events .event-preview", "n 1").inner_text() == (
        "Ada n 1 · token ••• · hand removed"
    )
    bo.sees("#events .event-preview", "Ada")
    row.locator("summary").click()
    assert '"version"' in row.locator("pre.answer").inner_text()


def test_a_sample_of_each_event_is_there_and_a_person_to_send_it_to(
    visit: Visit, site: LiveServer, room: str
) -> None:
    ada, bo = visit(room_path(room)), visit(room_path(room))
    bo.join("Bo")
    ada.join("Ada")
    offered = ada.page.locator("#event-names option").evaluate_all("all => all.map((o) => o.value)")
    samples = requests.get(f"{site.url}/docs/samples.json", timeout=10).json()
    assert set(offered) == set(samples) >= {"join_room", "signal", "sync"}
    ada.page.focus("#send-name")
    ada.page.fill("#send-name", "broadcast")
    ada.page.press("#send-name", "Tab")
    sample = json.dumps(samples["broadcast"], separators=(",", ":"))
    ada.page.wait_for_function(f"document.getElementById('send-data').value === {sample!r}")
    ada.page.select_option("#send-to", label="Bo")
    ada.page.click("#send-button")
    answered(ada, "signal")
    heard = bo.sees("#events .event", "signal").locator(".event-preview")
    assert heard.inner_text().startswith("Ada type chat")
    # What somebody has typed is not replaced.
    ada.page.fill("#send-data", '{"mine": 1}')
    ada.page.fill("#send-name", "sync")
    ada.page.press("#send-name", "Tab")
    assert ada.page.input_value("#send-data") == '{"mine": 1}'


def test_any_event_can_be_sent_and_its_refusal_is_shown(visit: Visit, room: str) -> None:
    ada = visit(room_path(room))
    ada.is_live()
    ada.page.fill("#send-name", "leave_room")
    ada.page.click("#send-form button")
    ada.sees("#send-problem", "has not joined a room")
    ada.page.fill("#send-name", "join_room")
    ada.page.fill(
        "#send-data", json.dumps({"room_name": room, "peer_id": "by-hand", "username": "By hand"})
    )
    ada.page.click("#send-form button")
    ada.is_in()
    ada.sees_here("By hand")


def test_one_key_with_enter_sends_from_a_field_of_several_lines(visit: Visit, room: str) -> None:
    ada = visit(room_path(room))
    ada.join("Ada")
    ada.page.fill("#send-data", '{"user_data": {"mood": "calm"}}')
    ada.page.press("#send-data", "Enter")
    ada.page.press("#send-data", "Control+Enter")
    answered(ada, "update_user_data")
    # Once, and only with the key: Enter alone began a line.
    assert names(ada).count("update_user_data") == 1
    ada.edit('{"mood": "glad"}')
    ada.page.press("#user-data", "Meta+Enter")
    ada.sees("#people .self", "mood glad")


def test_the_curl_line_of_each_action_does_the_same(visit: Visit, site: LiveServer) -> None:
    needs.program("curl")
    room = 'it\'s "quoted" & $HOME `x` \\o/'.replace("\\", "").replace("/", "")
    ada = visit(room_path(room))
    ada.join("O'Brien")
    ada.edit('{"quote": "it\'s $HOME"}')
    ada.page.click("#data-form button.primary")
    answered(ada, "update_user_data")
    ada.page.click("#leave-button")
    answered(ada, "leave_room")
    lines = {}
    for event in ("join_room", "update_user_data", "leave_room"):
        row = ada.page.locator("#events .event.out", has=ada.page.get_by_text(event, exact=True))
        row.locator("summary").click()
        lines[event] = row.locator(".event-code", has_text="curl").locator("code").inner_text()

    peer_id = ada.page.input_value("#peer-id")
    address = f"{site.url}/api/webrtc{room_path(room)}/peers/{peer_id}"
    requests.delete(address, timeout=10).raise_for_status()
    for event, data, is_active in (
        ("join_room", {}, True),
        ("update_user_data", {"quote": "it's $HOME"}, True),
        ("leave_room", {"quote": "it's $HOME"}, False),
    ):
        subprocess.run(["bash", "-c", f"{lines[event]} --fail --silent"], check=True, timeout=20)
        peer = requests.get(address, timeout=10).json()
        assert (peer["user_data"], peer["is_active"]) == (data, is_active), lines[event]


def test_a_filter_lets_nothing_newer_in_while_paused(visit: Visit, room: str) -> None:
    ada = visit(room_path(room))
    ada.join("Ada")
    answered(ada, "join_room")
    ada.page.click("#events-pause")
    ada.page.click("#send-form button")
    ada.sees("#events-news", "new")
    for wanted in ("update_user_data", ""):
        ada.page.fill("#events-filter", wanted)
        if wanted:
            ada.sees("#events-empty", "No event matches")
    answered(ada, "join_room")
    assert "update_user_data" not in names(ada)
    ada.page.click("#events-pause")
    ada.sees("#events .event-name", "update_user_data")


def test_an_opened_row_stays_and_a_key_makes_no_row_anew_when_the_console_is_full(
    visit: Visit, site: LiveServer, room: str
) -> None:
    ada = visit(room_path(room))
    ada.join("Ada", "ada")
    line = ada.sees("#events .event.out", "join_room")
    line.locator("summary").click()
    address = f"{site.url}/api/webrtc{room_path(room)}/update-data?peer_id=ada"
    session = requests.Session()
    for number in range(260):
        body = {"user_data": {"n": number, "words": "words " * 500}}
        session.post(address, json=body, timeout=10).raise_for_status()
    ada.sees("#events .event-preview", "n 259")
    assert line.locator("pre").first.is_visible()

    # What a key would cost is that rows are made anew; those that were made are only shown.
    ada.page.evaluate(
        """() => {
          window.made = 0;
          const make = document.createElement.bind(document);
          document.createElement = (name) => {
            made += 1;
            return make(name);
          };
        }"""
    )
    ada.page.locator("#events-filter").press_sequentially("ada", delay=150)
    ada.sees_no("#events-empty")
    ada.page.fill("#events-filter", "")
    ada.sees("#events .event.out", "join_room")
    assert line.locator("pre").first.is_visible()
    assert ada.page.evaluate("made") < 50


def test_a_note_has_nothing_to_open(visit: Visit, room: str) -> None:
    ada = visit(room_path(room))
    ada.sees("#events .note", "connected as")
    assert ada.page.locator("#events .note :is(details, summary)").count() == 0
