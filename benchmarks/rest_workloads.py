"""Workloads of REST: joins, the list of every room, and the list asked for once more."""

from __future__ import annotations

from collections.abc import Callable

import orjson

from benchmarks.clients import HttpClient, user_data
from benchmarks.load import ConnectionLost
from benchmarks.measuring import Figures, Measurement, Run, milliseconds

_CONNECTIONS = 4
_ROOMS = "/api/webrtc/rooms"


def post_join(client: HttpClient, room_name: str, peer_id: str) -> None:
    """Send a REST join."""
    body = {"peer_id": peer_id, "username": f"User {peer_id}", "user_data": user_data(peer_id)}
    client.request("POST", f"{_ROOMS}/{room_name}/join", orjson.dumps(body))


def rest(run: Run) -> Figures:
    """Fill many rooms over REST, then list them all, then do so with what is known already."""
    joins = rest_joins(run)
    lists, body_bytes = _list(run)
    again, not_modified = _list_again(run)
    return {
        **{f"join_{name}": value for name, value in joins.items()},
        **{f"list_{name}": value for name, value in lists.items()},
        **{f"again_{name}": value for name, value in again.items()},
        "again_not_modified": not_modified,
        "list_bytes": body_bytes,
        "load_share": max(part["load_share"] for part in (joins, lists, again)),
    }


def rest_joins(run: Run) -> Figures:
    """Fill many rooms over REST."""
    sizes = run.sizes
    todo = [
        (f"room-{room}", f"peer-{peer}")
        for peer in range(sizes.rest_peers)
        for room in range(sizes.rest_rooms)
    ]
    return _closed_loop(run, lambda client: post_join(client, *todo.pop()), lambda: len(todo))


def _list(run: Run) -> tuple[Figures, float]:
    sample = HttpClient(run.load)
    sample.request("GET", _ROOMS)
    run.load.await_(lambda: sample.status == 200, "the list of rooms")
    size = float(sample.header("content-length") or 0)
    sample.close()
    run.load.settle()
    return _closed_loop(run, lambda client: client.request("GET", _ROOMS)), size


def _list_again(run: Run) -> tuple[Figures, float]:
    """Ask with ``If-None-Match`` for the list, where the server gave it an ETag."""
    etag = ""

    def note(client: HttpClient, _now: float) -> None:
        nonlocal etag
        etag = client.header("etag") or ""

    sample = HttpClient(run.load)
    sample.on_answer = note
    sample.request("GET", _ROOMS)
    run.load.await_(lambda: sample.status == 200, "the list of rooms")
    sample.close()
    run.load.settle()
    headers = {"If-None-Match": etag} if etag else None
    statuses: list[int] = []
    figures = _closed_loop(
        run,
        lambda client: client.request("GET", _ROOMS, headers=headers),
        note=lambda client: statuses.append(client.status),
    )
    return figures, statuses.count(304) / max(1, len(statuses))


def _closed_loop(
    run: Run,
    ask: Callable[[HttpClient], None],
    left: Callable[[], int] | None = None,
    note: Callable[[HttpClient], None] = lambda _client: None,
) -> Figures:
    """Keep a few connections busy for some seconds, or until nothing is left to ask."""
    answered: list[float] = []
    asked: dict[HttpClient, float] = {}
    busy = 0

    def next_(client: HttpClient, now: float) -> None:
        nonlocal busy
        if not 200 <= client.status < 400:
            raise ConnectionLost(f"{client.head[:100]!r} {bytes(client.body[:200])!r}")
        answered.append(now - asked[client])
        note(client)
        if left is None or left():
            asked[client] = now
            ask(client)
        else:
            busy -= 1

    clients = [HttpClient(run.load) for _ in range(_CONNECTIONS)]
    with run.measuring() as measured:
        for client in clients:
            if left is not None and not left():
                break
            client.on_answer = next_
            asked[client] = measured.started
            busy += 1
            ask(client)
        if left is None:
            run.load.run(run.sizes.rest_seconds)
            run.load.await_(lambda: bool(answered), "a request is answered")
        else:
            run.load.await_(lambda: not busy, "every request is answered", 300)
    for client in clients:
        client.close()
    return {**_rates(measured, len(answered)), **milliseconds(answered)}


def _rates(measured: Measurement, count: int) -> Figures:
    return {
        **measured.figures(),
        "per_s": count / measured.wall,
        "per_cpu_s": count / measured.cpu,
        "cpu_each_ms": measured.cpu / max(count, 1) * 1000,
    }
