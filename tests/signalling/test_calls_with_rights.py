"""Calls of those who may not send: their client sends nothing, and the others show nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import requests

from local_cluster.live_server import LiveServer
from local_cluster.waiting import eventually
from tests.signalling.conftest import NewPage
from tests.signalling.pages import ClientPage
from tests.signalling.pictures import PAINT, sees
from tests.support.keys import LOCKED, bearer, token

# What of this page's pictures is on its way to another.
SENT = "(name) => connections[name].pc.getSenders().filter(({ track }) => track).length"


def regrant(server: LiveServer, room: str, peer_id: str, grants: Any) -> None:
    url = f"{server.url}/api/webrtc/rooms/{quote(room)}/peers/{peer_id}/grants"
    headers = bearer(token("root", room, "admin"))
    requests.post(url, json={"grants": grants}, headers=headers, timeout=10).raise_for_status()


def call_everyone(page: ClientPage, room: str, name: str, colour: str) -> None:
    page.run(PAINT)
    page.join(room, name)
    page.run("(colour) => { window.call = client.call(everyone, painted(colour)) }", colour)


def test_who_is_muted_sends_nothing_and_is_not_shown_until_it_may_speak(
    new_server: Callable[..., LiveServer], client_page: NewPage, room: str
) -> None:
    server = new_server(**LOCKED)
    ann, ben, cyd = (client_page(server, token=token(one, room)) for one in ("ann", "ben", "cyd"))
    call_everyone(ann, room, "ann", "red")
    call_everyone(ben, room, "ben", "lime")
    sees(ben, {"ann": ["red"]})
    sees(ann, {"ben": ["lime"]})

    regrant(server, room, "ann", ["update", "listen", "list"])
    sees(ben, {"ann": []})
    eventually(lambda: ann.run(SENT, "ben") == 0, "ann sends nothing")
    assert ben.run("[connections.ann.muted, connections.ann.hidden]") == [True, True]
    assert ann.run("client.grants") == ["join", "update", "listen", "list"]
    sees(ann, {"ben": ["lime"]})
    # Who comes later gets no picture of her either, and she theirs.
    call_everyone(cyd, room, "cyd", "blue")
    sees(ann, {"ben": ["lime"], "cyd": ["blue"]})
    sees(cyd, {"ann": [], "ben": ["lime"]})
    assert ann.run(SENT, "cyd") == 0

    # Nor does coming back make a speaker.
    ann.run("() => client.socket.io.engine.close()")
    back = "client.state === 'joined' && client.connected && client.grants.includes('listen')"
    eventually(lambda: ann.run(back), "ann is back", 20)
    assert ann.run(SENT, "ben") == 0

    # A program that does not want to know goes on sending; the others do not show it.
    ann.run(
        "() => connections.ben.pc.getSenders()[0].replaceTrack(window.call.media.parts[0].track)"
    )
    eventually(lambda: ann.run(SENT, "ben") == 1, "it sends all the same")
    sees(ben, {"ann": [], "cyd": ["blue"]})

    regrant(server, room, "ann", None)
    for page, other in ((ben, "cyd"), (cyd, "ben")):
        sees(page, {"ann": ["red"], other: ["blue" if other == "cyd" else "lime"]})
    assert ben.run("[connections.ann.muted, connections.ann.hidden]") == [False, False]
