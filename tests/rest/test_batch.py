"""Many changes in one request: each answered as if it had come alone."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import pytest
import requests

from local_cluster.live_server import LiveServer
from tests.support.callers import ROOMS, ask
from tests.support.keys import LOCKED, bearer, token

BATCH = "/api/webrtc/batch"


@pytest.fixture(scope="module")
def locked(tmp_path_factory: pytest.TempPathFactory) -> Generator[LiveServer]:
    """A locked server that takes few requests in a minute of an address, from behind a proxy."""
    settings = {**LOCKED, "PRESENCE_REQUESTS_PER_MINUTE": "250", "PRESENCE_TRUSTED_PROXIES": "1"}
    server = LiveServer(tmp_path_factory.mktemp("batch"), **settings).start()
    yield server
    server.kill()


def send(
    server: LiveServer,
    *requested: dict[str, Any],
    made: str | None = None,
    key: str | None = None,
    address: str = "192.0.2.1",
) -> requests.Response:
    headers = bearer(made or token("root", "*", "admin", ttl=3600))
    headers |= {"X-Forwarded-For": address} | ({"Idempotency-Key": key} if key else {})
    body = {"requests": list(requested)}
    return requests.post(server.url + BATCH, json=body, headers=headers, timeout=60)


def put(room: str, **terms: Any) -> dict[str, Any]:
    return {"method": "PUT", "path": f"{ROOMS}/{room}", "body": terms}


def test_each_is_answered_in_order_and_one_that_fails_holds_up_none(locked: LiveServer) -> None:
    answer = send(
        locked,
        put("caf%C3%A9", max_peers=2),
        {"path": f"{ROOMS}/caf%C3%A9/join", "body": {"peer_id": "ada", "username": "Ada"}},
        {"path": f"{ROOMS}/caf%C3%A9/update-data?peer_id=ada", "body": {"user_dat": {}}},
        {"path": f"{ROOMS}/caf%C3%A9/update-data?peer_id=ada", "body": {"user_data": {"n": 1}}},
        {"method": "DELETE", "path": f"{ROOMS}/nowhere"},
        {"path": f"{ROOMS}/caf%C3%A9/broadcast", "body": {"event": "e", "data": None}},
        {"method": "DELETE", "path": f"{ROOMS}/caf%C3%A9/peers/ada"},
    )
    assert answer.status_code == 200
    said = answer.json()["responses"]
    assert [one["status"] for one in said] == [201, 200, 422, 200, 404, 200, 200]
    assert said[0]["body"]["room_name"] == "café"
    assert said[2]["body"]["hints"]
    assert "hints" not in said[3]["body"]
    assert said[3]["body"]["user_data"] == {"n": 1}


def test_what_is_not_for_a_batch_is_refused_where_it_stands(locked: LiveServer) -> None:
    paths = (BATCH, "/api/webrtc/upload", "/api/webrtc/uploads", "/api/webrtc/tokens", ROOMS)
    answer = send(
        locked,
        *({"path": path} for path in (*paths, "/api/webrtc/nothing")),
        put("after"),
    )
    said = answer.json()["responses"]
    assert [one["status"] for one in said] == [422] * 6 + [201]
    assert {one["body"]["field"] for one in said[:-1]} == {"path"}
    for wrong in ([], [{"path": "/"}], [put("x")] * 101, [put("x"), 1], [{"method": "GET"}]):
        refused = send(locked, *wrong)
        assert refused.status_code == 422, wrong
    assert ask(locked, "GET", f"{ROOMS}/x", token("root", "*", "admin")).status_code == 404


def test_each_asks_of_the_token_what_it_asks_alone(locked: LiveServer) -> None:
    mere = token("ada", "team-*", ("join", "publish"))
    said = send(
        locked,
        {"path": f"{ROOMS}/team-1/join", "body": {"peer_id": "ada", "username": "Ada"}},
        {"path": f"{ROOMS}/team-1/join", "body": {"peer_id": "bob", "username": "Bob"}},
        {"path": f"{ROOMS}/other/join", "body": {"peer_id": "ada", "username": "Ada"}},
        put("team-1"),
        {"path": f"{ROOMS}/team-1/broadcast", "body": {"event": "e", "data": 1}},
        made=mere,
    ).json()["responses"]
    assert [one["status"] for one in said] == [200, 403, 403, 403, 200]
    assert send(locked, put("x"), made="no.good.token").status_code == 401


def test_each_counts_among_the_requests_of_its_address(locked: LiveServer) -> None:
    hundred = [put("counted")] * 100
    statuses: list[int] = []
    for _ in range(3):
        answer = send(locked, *hundred, address="192.0.2.77")
        statuses += [one["status"] for one in answer.json()["responses"]]
    # Each batch is a request too, and the minute slides meanwhile.
    assert 20 <= statuses.count(429) <= 300 - (250 - 3)
    assert sorted(set(statuses)) == [200, 201, 429]


def test_a_key_is_for_the_whole_and_what_was_done_is_not_done_again(locked: LiveServer) -> None:
    batch = [put("whole"), put("whole", max_peers=3), {"method": "DELETE", "path": f"{ROOMS}/no"}]
    first, again = (send(locked, *batch, key="w") for _ in range(2))
    assert [one["status"] for one in first.json()["responses"]] == [201, 200, 404]
    assert again.content == first.content
    assert again.headers["Idempotent-Replayed"] == "true"
    assert send(locked, *batch[:2], key="w").json()["code"] == "idempotency_key_reused"
    # Where some were refused for a time only, they are tried again, and the others are not.
    address = "192.0.2.78"
    for _ in range(2):
        send(locked, *[put("filler")] * 100, address=address)
    many = [put(f"part{n}") for n in range(100)]
    cut = send(locked, *many, key="p", address=address).json()["responses"]
    assert {one["status"] for one in cut} == {201, 429}
    rest = send(locked, *many, key="p", address="192.0.2.79").json()["responses"]
    assert {one["status"] for one in rest} == {201}


# What JSON can hold and hardly any program writes.
ODD_VALUES = (
    *(
        "1",
        "NaN",
        "-Infinity",
        "1e400",
        str(2**64),
        str(10**400),
        '"\\ud800"',
        '"\\u0000"',
        '"\\udc00\\ud800"',
    ),
    *(
        '{"\\ud800": 1}',
        '{"a": NaN, "a": 1}',
        "[" * 300 + "]" * 300,
        '{"a":' * 300 + "1" + "}" * 300,
    ),
    *('"' + "\u20ac" * 40_000 + "\\ud800" + '"', "null", "[[], {}]", "-0.0", "1.0"),
)
# How an address can be written, well and badly.
ODD_ENDS = (
    "",
    "?a=%ff",
    "?%ff",
    "?a=\u20ac",
    "?\u20ac=%E2%82%AC",
    "?a=b c",
    "?a=%00",
    "#b",
    "?a#b",
    "?%",
    "?a=%0d%0aX:y",
)


def test_each_is_read_as_it_is_alone(locked: LiveServer) -> None:
    """Whatever its values and address are the answer is the same, and the next one is done."""
    made = token("root", "*", "admin")
    ask(locked, "PUT", f"{ROOMS}/odd", made, json={})
    path = f"{ROOMS}/odd/broadcast"
    tried = [(path, f'{{"event": "e", "data": {value}}}') for value in ODD_VALUES]
    tried += [(path, f'{{"event": {value}, "data": 1}}') for value in ODD_VALUES]
    tried += [(path, value) for value in ODD_VALUES if value != "null"]  # that is no body
    tried += [(path + end, '{"event": "e", "data": 1}') for end in ODD_ENDS]
    tried += [(f"{ROOMS}/{name}/broadcast", "{}") for name in ("%ff", "%ed%a0%80", "%00", "\u20ac")]
    headers = {**bearer(made), "X-Forwarded-For": "192.0.2.90"}
    for number, (where, body) in enumerate(tried):
        if number % 40 == 0:
            headers["X-Forwarded-For"] = f"192.0.2.{90 + number // 40}"
        alone = requests.post(locked.url + where, body.encode(), headers=headers, timeout=20)
        beside = f'{{"path": "{path}", "body": {{"event": "e", "data": 1}}}}'
        items = f'{{"path": "{where}", "body": {body}}}, {beside}'
        answer = requests.post(
            locked.url + BATCH, f'{{"requests": [{items}]}}'.encode(), headers=headers, timeout=20
        )
        assert answer.status_code == 200, (where, body[:80], answer.text)
        first, second = answer.json()["responses"]
        assert first == {"status": alone.status_code, "body": alone.json()}, (where, body[:80])
        assert alone.status_code < 500
        assert second["status"] == 200


def test_a_part_has_no_key_that_a_request_alone_can_have(locked: LiveServer) -> None:
    made = token("root", "*", "admin", ttl=3600)
    body = {"event": "e", "data": 1}
    ask(locked, "PUT", f"{ROOMS}/apart", made, json={})
    path = f"{ROOMS}/apart/data"
    for place in ("0", "00", "0x0"):
        for mark in "/:.-_+|!#~=@":
            headers = {"Idempotency-Key": f"{place}{mark}apart", "X-Forwarded-For": "192.0.2.120"}
            alone = ask(locked, "POST", path, made, json={"room_data": body}, headers=headers)
            assert alone.status_code == 200
    answer = send(
        locked, {"path": path, "body": {"room_data": {"n": 2}}}, key="apart", address="192.0.2.121"
    )
    assert [one["status"] for one in answer.json()["responses"]] == [200]
