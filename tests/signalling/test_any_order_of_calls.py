"""Ordinary programs that call the client in orders which once went wrong, each by itself."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

from local_cluster.live_server import LiveServer
from tests.support.node import report_of


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Generator[dict[str, Any]]:
    """What `lifecycle.mjs` saw at a server whose rooms hold two, by the programs' names."""
    folder: Path = tmp_path_factory.mktemp("lifecycle")
    live = LiveServer(folder, PRESENCE_MAX_PEERS=2).start()
    yield report_of("lifecycle.mjs", live.url, "order")
    live.kill()


def test_changing_rooms_is_leaving(report: dict[str, Any]) -> None:
    happened, meanwhile, first, second = report["changing rooms is leaving"]
    assert happened == [
        *("joined alice", "left left", "peer_left bob", "peer_left alice", "joined alice"),
    ]
    assert meanwhile == ["connecting", None, 0]
    assert (first, second) == (["bob"], ["alice"])


def test_closing_in_the_tick_of_the_join_leaves_nobody(report: dict[str, Any]) -> None:
    assert report["join and close in one tick"] == ["closed", "closed", None, True]


def test_a_closed_client_says_so_when_it_is_used_again(report: dict[str, Any]) -> None:
    assert report["join, close while connecting, join"] == ["closed", "closed", True]


def test_leaving_ends_the_wait_for_a_place(report: dict[str, Any]) -> None:
    refused, state, *outcome = report["leaving while waiting for a place"]
    assert (refused, state) == ("room_full", "connecting")
    assert outcome == ["left", "left", "idle", None, ["b"]]


def test_waiting_for_a_place_is_rewarded(report: dict[str, Any]) -> None:
    assert report["waiting for a place is rewarded"] == ["resolved", "joined", ["b", "c"]]


def test_joining_again_where_a_lost_place_was_taken_ends_and_the_place_is_wanted_still(
    report: dict[str, Any],
) -> None:
    outcome = report["joining again where a lost place was taken"]
    assert outcome == ["room_full", "reconnecting", True, ["a", "c"]]


def test_a_place_that_is_left_and_wanted_again_before_it_was_given_is_kept(
    report: dict[str, Any],
) -> None:
    first, left, second, *now = report["leaving and joining again while a join is on its way"]
    assert (first, left, second) == ("left", "resolved", "resolved")
    assert now == [True, "joined", True, ["alice"]]


def test_a_flapping_connection_is_no_refusal(report: dict[str, Any]) -> None:
    left, *now = report["a connection that flaps while a rejoin is on its way"]
    assert left == []
    assert now == ["joined", False, ["alice"]]


def test_a_token_function_that_fails_is_told_as_that_and_let_alone(report: dict[str, Any]) -> None:
    told = report["a token function that fails"]
    assert told == ["token_failed", "the backend is away", True, True, True, "idle"]
    silent = report["a token function that never answers"]
    assert silent == ["token_failed", "idle", None]


def test_a_join_that_timed_out_joins_nobody_later(report: dict[str, Any]) -> None:
    told = report["a join that timed out joins nobody later"]
    assert told == ["timeout", "idle", None, True, []]


def test_a_later_join_takes_an_earlier_ones_place(report: dict[str, Any]) -> None:
    outcomes, *now = report["a later join takes an earlier one's place"]
    assert outcomes == [*["superseded"] * 3, "resolved"]
    assert now == [True, True, ["alice"]]


def test_leaving_withdraws_a_join(report: dict[str, Any]) -> None:
    assert report["leaving withdraws a join"] == ["left", "left", "idle", True]


def test_who_leaves_while_the_connection_is_lost_is_out(report: dict[str, Any]) -> None:
    assert report["leaving while the connection is lost"] == ["left", "idle", None, True]


def test_closing_answers_whatever_waits(report: dict[str, Any]) -> None:
    waiting, later, is_empty = report["closing answers whatever waits"]
    # The third was a join, which leave() had withdrawn already.
    assert waiting == ["closed", "closed", "left", "closed", "closed"]
    assert later == ["closed"] * 6
    assert is_empty


def test_what_waits_for_a_room_ends_with_it(report: dict[str, Any]) -> None:
    assert report["what waits for a room ends with it"] == ["left", {}]


def test_listeners_may_call_again(report: dict[str, Any]) -> None:
    told = report["listeners that call again"]
    assert told == ["resolved", "resolved", True, True, ["alice"]]


def test_two_clients_count_up_in_one_user_data(report: dict[str, Any]) -> None:
    assert report["two clients count up in one user data"] == [40, 40]


def test_who_is_put_out_is_told_why(report: dict[str, Any]) -> None:
    assert report["who is put out is told why"] == ["left left_over_rest", "not_joined", "idle"]


def test_watching_needs_no_room_and_outlasts_a_reconnect(report: dict[str, Any]) -> None:
    assert report["watching without joining"] == ["idle", True, True, True, ["alice"]]


def test_nothing_is_kept_of_clients_that_were_closed(tmp_path: Path) -> None:
    live = LiveServer(tmp_path).start()
    try:
        report = report_of("--expose-gc", "leaks.mjs", live.url, "leaks", "200")
    finally:
        live.kill()
    nothing = dict.fromkeys(("kept", "listeners", "asked", "sockets", "timers"), 0)
    assert report == {"made": 200, **nothing}
