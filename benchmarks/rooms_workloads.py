"""Workloads of rooms: storms of joins, updates of user data, and a large room told of changes."""

from __future__ import annotations

import re
import time
from functools import partial

from benchmarks.clients import HttpClient, SocketClient, connect, join_all
from benchmarks.load import ConnectionLost
from benchmarks.measuring import Figures, Run, milliseconds
from benchmarks.rest_workloads import post_join

_MARK = re.compile(rb'"mark": ?"(\d+)-(\d+)"')
_OWN_SOCKETS_IN_LIST_MODE = 10


def warm_up(run: Run) -> None:
    """Let the server do each thing a number of times first: compilers and caches are ready then."""
    clients = connect(run.load, run.sizes.warm_up)
    join_all(run.load, clients, "warm-up")
    for client in clients:
        client.emit("update_user_data", {"user_data": {"mark": "0-1"}})
    run.load.settle()


def joins_at_once(run: Run, count: int) -> Figures:
    """Let `count` connected clients join one room at the same moment.

    It is over when each has its own answer and a list that shows everybody.
    """
    warm_up(run)
    clients = connect(run.load, count)
    run.load.settle()
    sent: dict[SocketClient, float] = {}

    def done() -> bool:
        return all(client.total_shown >= count and client.joined_at for client in clients)

    with run.measuring() as measured:
        for number, client in enumerate(clients):
            sent[client] = time.perf_counter()
            client.join("storm", f"peer-{number}")
        run.load.await_(done, f"{count} have joined, and everybody sees it")
        measured.stop()
        run.load.settle()
    return {
        **measured.figures(),
        **milliseconds(client.joined_at - sent[client] for client in clients),
        "cpu_per_join_ms": measured.cpu / count * 1000,
        "list_bytes": float(_list_bytes(run, "storm")),
    }


def updates(run: Run, times: int = 1) -> Figures:
    """Let the peers of one room change their data in turns, evenly over some seconds.

    `times` says how many times as often as the sizes have it.

    Some of them note when they first see each change, in whatever event shows it first, and when
    they see it in a list.
    """
    sizes = run.sizes
    warm_up(run)
    observers = connect(run.load, sizes.observers, whole=True)
    clients = observers + connect(run.load, sizes.update_peers - sizes.observers)
    join_all(run.load, clients, "busy")
    run.load.settle()
    count = sizes.updates * times
    sent: dict[tuple[int, int], float] = {}
    seen = _Seen(sent, observers)
    for observer in observers:
        observer.on_message = seen.take

    with run.measuring() as measured:
        for number in range(count):
            due = measured.started + number * sizes.update_seconds / count
            run.load.run(max(0.0, due - time.perf_counter()))
            who = number % len(clients)
            mark = (who, number)
            sent[mark] = time.perf_counter()
            clients[who].emit("update_user_data", {"user_data": {"mark": f"{who}-{number}"}})
        run.load.await_(partial(seen.everything), "every update is seen by everybody")
        measured.stop()
        run.load.settle()
    lists = milliseconds(seen.in_lists)
    return {
        **measured.figures(),
        **milliseconds(seen.anywhere),
        "list_p50_ms": lists["p50_ms"],
        "list_p99_ms": lists["p99_ms"],
    }


class _Seen:
    """When observers, who are the first of the clients, saw which update of others.

    Anywhere, and in a list.
    """

    def __init__(self, sent: dict[tuple[int, int], float], observers: list[SocketClient]) -> None:
        self._sent = sent
        self._observers = observers
        self._newest: dict[tuple[SocketClient, str], dict[int, int]] = {}
        self.anywhere: list[float] = []
        self.in_lists: list[float] = []

    def take(self, client: SocketClient, message: bytes, now: float) -> None:
        """Note the updates that a message shows."""
        in_list = message.startswith(b'42["peer_list_updated"')
        if not in_list and not message.startswith(b'42["user_data_updated"'):
            return
        marks = [(int(who), int(number)) for who, number in _MARK.findall(message)]
        self._note(client, "anywhere", self.anywhere, marks, now)
        if in_list:
            self._note(client, "list", self.in_lists, marks, now)

    def everything(self) -> bool:
        """Return whether every observer's list shows the last update of every peer."""
        newest = dict(self._sent.keys())  # the keys are pairs, and the last of a peer stays
        return all(
            self._newest.get((observer, "list"), {}).get(who, -1) >= number
            for observer in self._observers
            for who, number in newest.items()
        )

    def _note(
        self,
        client: SocketClient,
        where: str,
        durations: list[float],
        marks: list[tuple[int, int]],
        now: float,
    ) -> None:
        newest = self._newest.setdefault((client, where), {})
        for who, number in marks:
            # An update that a later one overtook is seen with the later one.
            if number > newest.get(who, -1) and (who, number) in self._sent:
                newest[who] = number
                if self._observers[who : who + 1] != [client]:  # others, not who made the change
                    durations.append(now - self._sent[who, number])


def large_room(run: Run) -> Figures:
    """Change the data of peers of a large room, one at a time, and count what one client gets.

    Where the server can tell changes instead of lists, all peers are sockets that asked for them.
    Elsewhere a few sockets get lists, and the other peers join over REST: what one client gets is
    the same, and a storm of lists to all of them would take minutes.
    """
    sizes = run.sizes
    delta = run.offers("delta")
    count = sizes.delta_peers if delta else min(_OWN_SOCKETS_IN_LIST_MODE, sizes.delta_peers)
    if not delta:
        http = HttpClient(run.load)
        for number in range(sizes.delta_peers - count):
            post_join(http, "large", f"rest-{number}")
            run.load.await_(lambda: http.status == 200, "a REST join is answered")
        http.close()
    clients = connect(run.load, count)
    more = {"updates": "delta"} if delta else {}
    join_all(run.load, clients, "large", **more)
    run.load.settle()
    witness = clients[-1]
    before = witness.bytes_in
    messages = witness.messages
    with run.measuring() as measured:
        for number in range(sizes.delta_changes):
            clients[number % (count - 1)].emit(
                "update_user_data", {"user_data": {"mark": f"{number}-1"}}
            )
            run.load.settle(quiet=0.15)
    if witness.messages - messages < sizes.delta_changes:
        raise ConnectionLost("a client did not hear of every change")
    figures = measured.figures()
    figures["bytes_per_change"] = (witness.bytes_in - before) / sizes.delta_changes
    if delta:
        figures["cpu_per_change_ms"] = measured.cpu / sizes.delta_changes * 1000
    return figures


def _list_bytes(run: Run, room_name: str) -> int:
    """Return how long a room's list is, by joining it once more."""
    (client,) = connect(run.load, 1)
    before = client.bytes_in
    client.join(room_name, "witness")
    run.load.await_(lambda: client.joined_at > 0, "join_room_success")
    return client.bytes_in - before
