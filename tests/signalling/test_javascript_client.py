"""The JavaScript client under Node and in the browser, and its types."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import requests

from local_cluster.live_server import LiveServer
from local_cluster.waiting import eventually
from tests.signalling.conftest import ON_EVENTLET, Member, NewPage
from tests.support import needs
from tests.support.paths import ROOT

CLIENT = ROOT / "static" / "client"


def node(*arguments: str, cwd: Path = needs.JAVASCRIPT) -> str:
    """Run Node and return what it printed."""
    run = subprocess.run(
        [needs.node_with_socketio_client(), *arguments],
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    assert run.returncode == 0, run.stderr + run.stdout
    return run.stdout


def test_the_client_does_everything_under_node(server: LiveServer, room: str) -> None:
    report: dict[str, Any] = json.loads(node("client.mjs", server.url, room))
    assert report == {
        "unjoined": ["not_joined", "not_joined", "not_joined"],
        "joined": ["node", "joined", room, True],
        "merged": {"a": 1, "b": 2},
        "removed": {"b": 2},
        "roomData": [*[{"slide": 1, "n": 20}] * 3, "room_data_conflict"],
        "uploaded": [220_000, "n.txt"],
        "progress": [True, True],
        "aborted": "aborted",
        "refused": ["file_type_refused", "unknown_peer", "too_large", "invalid_field"],
        "whileAway": ["reconnecting", {"b": 2, "c": 3}],
        "rejoined": ["joined", room],
        "left": ["left", None, 0],
        "rising": True,
        "closed": ["closed", "closed"],
        "nowhere": "unreachable",
    }


def test_kept_broadcasts_go_on_where_a_lost_connection_ended_them(
    new_server: Callable[..., LiveServer],
) -> None:
    server = new_server(PRESENCE_KEEP_BROADCASTS=2000, PRESENCE_EVENT_BURST=10_000)
    report = json.loads(node("broadcasts.mjs", server.url, "r"))
    assert report == {"heard": True, "all": True, "replayed": True}


def test_what_was_missed_is_asked_for_until_it_is_told(
    new_server: Callable[..., LiveServer],
) -> None:
    server = new_server(PRESENCE_KEEP_BROADCASTS=100)
    report = json.loads(node("refused_syncs.mjs", server.url, "r"))
    assert report == {"refused": 2, "heard": ["before", "away", "live"], "errors": 0}


def test_states_are_seen_by_others_and_told_again_after_a_lost_connection(
    server: LiveServer, room: str
) -> None:
    report = json.loads(node("states.mjs", server.url, room))
    names = ("merged", "few", "gone", "again", "back", "cleared", "left", "idle")
    assert report == dict.fromkeys(names, True)


def test_data_is_told_once_to_who_wants_no_notices_of_it(server: LiveServer, room: str) -> None:
    report = json.loads(node("once.mjs", server.url, room))
    assert report == {"told": True, "again": True, "notices": []}


@ON_EVENTLET
def test_nothing_that_a_peer_sends_throws_in_a_program(server: LiveServer, room: str) -> None:
    report = json.loads(node("hostile.mjs", server.url, room))
    assert report == {"heard": True, "failures": []}


def test_without_socketio_client_the_error_says_what_to_do(tmp_path: Path) -> None:
    script = f"""
        const {{ PresenceClient }} = await import("{(CLIENT / "index.js").as_uri()}");
        const client = new PresenceClient("http://127.0.0.1:9");
        await client.connect().catch((error) => console.log(error.code));
    """
    (tmp_path / "alone.mjs").write_text(script)
    assert node("alone.mjs", cwd=tmp_path).strip() == "no_socket_io"


@ON_EVENTLET
def test_uploading_in_the_browser_reports_progress_and_can_be_aborted(
    server: LiveServer, client_page: NewPage, room: str
) -> None:
    page = client_page(server)
    page.join(room, "alice")
    report = page.run(
        """async () => {
          const progress = [];
          const text = new File(["some words ".repeat(50_000)], "words.txt");
          const { original_filename } = await client.upload(text, {
            onProgress: (p) => progress.push(p) });
          const last = progress.at(-1);
          const abort = new AbortController();
          const big = new File(["some words ".repeat(1_000_000)], "big.txt");
          const aborted = await client
            .upload(big, { signal: abort.signal, onProgress: () => abort.abort() })
            .catch((error) => error.code);
          return [original_filename, last.loaded === last.total, last.total > 550_000, aborted];
        }"""
    )
    assert report == ["words.txt", True, True, "aborted"]


@ON_EVENTLET
def test_being_taken_out_over_rest_is_told_and_not_undone(
    server: LiveServer, client_page: NewPage, member: Member, room: str
) -> None:
    page = client_page(server)
    page.join(room, "alice")
    witness = member(server, "bob")
    url = f"{server.url}/api/webrtc/rooms/{quote(room)}/leave?peer_id=alice"
    assert requests.post(url, timeout=10).ok
    eventually(lambda: page.run("client.roomName") is None, "the page knows")
    assert page.run("happened.find(([event]) => event === 'left')[1].reason") == "left_over_rest"
    page.run("async () => { await client.connect(); client.socket.io.engine.close() }")
    eventually(lambda: page.run("client.connected"), "the page reconnects")
    assert witness.call("signal", {"to": "alice", "data": 1})["code"] == "inactive"


def test_the_types_compile_and_refuse_what_is_wrong() -> None:
    needs.node_with_socketio_client()
    needs.npm_package("typescript")
    options = "--noEmit --strict --target es2022 --module nodenext --lib es2022,dom,dom.iterable"
    node("node_modules/typescript/bin/tsc", *options.split(), "types.mts")


def test_the_types_name_everything_that_the_client_offers() -> None:
    declared = (CLIENT / "index.d.ts").read_text()
    for module, exported in (
        ("client.js", "PresenceClient"),
        ("call.js", "Call"),
        ("connection.js", "Connection"),
    ):
        script = (
            f"const m = await import({json.dumps((CLIENT / module).as_uri())});"
            f"console.log(Object.getOwnPropertyNames(m.{exported}.prototype).join(' '))"
        )
        body = re.search(rf"(?:class|interface) {exported}\b.*?\n}}", declared, re.DOTALL)
        assert body
        names = set(node("--input-type=module", "-e", script).split()) - {"constructor"}
        missing = {name for name in names if not re.search(rf"\b{name}\b", body[0])}
        # What connections and calls do for each other is not for programs.
        assert missing <= {
            *("start", "verify", "offered", "answered", "candidate", "ended", "disowned"),
            *("refresh", "finish", "remoteClient", "sendMedia", "heardOfMedia", "isRinging"),
            *("here", "verified", "nudge", "fail", "adopt", "announce"),
        }
