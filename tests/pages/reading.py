"""Pages as text, and what fills them, by an app that does not serve."""

from __future__ import annotations

import html
import re

from flask.testing import FlaskClient

from tests.support.visitors import room_path

HOSTILE_NAMES = [
    "<script>alert(1)<script>",
    '"><img src=x onerror=alert(1)>',
    "a?b#c%25&d=é",
    "😀 مرحبا بالعالم",
    "{{ 7 * 7 }} {% raw %}",
    "<hx-partial hx-target=body>",
    "'; drop table rooms; --",
]


def join(
    client: FlaskClient, room: str, peer_id: str = "p", username: str = "Ada", **data: object
) -> None:
    answer = client.post(
        f"/api/webrtc{room_path(room)}/join",
        json={"peer_id": peer_id, "username": username, "user_data": data},
    )
    assert answer.status_code == 200, answer.text


def leave(client: FlaskClient, room: str, peer_id: str = "p") -> None:
    assert client.post(f"/api/webrtc{room_path(room)}/leave?peer_id={peer_id}").status_code == 200


def read(client: FlaskClient, path: str, status: int = 200) -> str:
    answer = client.get(path, headers={"Accept": "text/html"})
    assert answer.status_code == status, answer.text
    assert answer.content_type.startswith("text/html")
    return answer.text


def words(page: str) -> str:
    """Return the text of a page without its tags."""
    return html.unescape(re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page)))
