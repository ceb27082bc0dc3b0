"""A resumable upload is its peer's, on every request for it."""

from __future__ import annotations

import requests

from local_cluster.live_server import LiveServer
from tests.access.table import ROOM
from tests.support.keys import bearer, token
from tests.support.rest import refusal
from tests.support.tus import PIECE, metadata


def test_nobody_else_begins_continues_looks_at_or_ends_an_upload(locked: LiveServer) -> None:
    ada, bob = (
        {**bearer(token(name, "team-*", ("join", "upload"))), "Tus-Resumable": "1.0.0"}
        for name in ("ada", "bob")
    )
    who = {"peer_id": "ada", "username": "Ada"}
    join = f"{locked.url}/api/webrtc/rooms/{ROOM}/join"
    assert requests.post(join, json=who, headers=ada, timeout=20).ok
    uploads = f"{locked.url}/api/webrtc/uploads"
    told = metadata(filename="a.txt", room_name=ROOM, peer_id="ada")
    begin = {"Upload-Length": "4", "Upload-Metadata": told}
    refused = requests.post(uploads, headers=bob | begin, timeout=20)
    assert refusal(refused) == (403, "wrong_peer")
    made = requests.post(uploads, headers=ada | begin, timeout=20)
    assert made.status_code == 201, made.text
    where = locked.url + made.headers["Location"]
    piece = {"Upload-Offset": "0", "Content-Type": PIECE}
    assert requests.head(where, headers=bob, timeout=20).status_code == 403
    for method in ("GET", "PATCH", "DELETE"):
        answer = requests.request(method, where, headers=bob | piece, data=b"text", timeout=20)
        assert refusal(answer) == (403, "wrong_peer"), method
    without = {"Tus-Resumable": "1.0.0"} | piece
    assert requests.patch(where, headers=without, data=b"text", timeout=20).status_code == 401
    assert requests.patch(where, headers=ada | piece, data=b"text", timeout=20).status_code == 204
