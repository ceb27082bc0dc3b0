"""The server's figures for Prometheus, made of `counters` and the database on request."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from presence.config import VERSION
from presence.domain.outbox import standings
from presence.domain.outbox.standings import Standing
from presence.domain.rooms import census
from presence.domain.values import clock
from presence.storage import database, maintenance
from presence.storage.copies import backing_up
from presence.transport.backend.sending import key_of
from presence.transport.engine.connections import EVICTIONS
from presence.transport.process.counters import Histogram
from presence.transport.process.runtime import Runtime

log = logging.getLogger(__name__)

_OUTCOMES = ("taken", "refused")


def registry(run: Runtime) -> CollectorRegistry:
    """Return a registry of its own for a process: its figures, its memory and its CPU time."""
    made = CollectorRegistry()
    made.register(_Server(run))
    ProcessCollector(registry=made)
    return made


class _Server(Collector):
    """Turns what a process knows into metrics."""

    def __init__(self, run: Runtime) -> None:
        self._run = run

    def describe(self) -> Iterable[Metric]:
        """Return nothing, so that registering reads nothing either."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """Return every metric as it is now."""
        run = self._run
        yield InfoMetricFamily(
            "presence",
            "The server: its version, how its process runs, and its id among the workers.",
            {
                "version": VERSION,
                "async_mode": str(run.socketio.async_mode),
                "worker": run.worker_id,
            },
        )
        yield from self._from_database()
        yield from self._connections()
        yield from self._counts()

    def _from_database(self) -> Iterator[Metric]:
        up = _gauge("presence_database_up", "Whether the database answered just now.")
        try:
            with self._run.app.app_context(), database.reading() as session:
                counted = census.take(session)
                hooks = [key_of(url) for url in self._run.settings.hooks]
                stand = standings.standings(session, hooks)
                unordered = standings.unordered(session) if hooks else 0
        except Exception as error:  # whatever is wrong, the other figures are wanted all the more
            log.warning("the database could not be counted: %s", type(error).__name__)
            up.add_metric([], 0)
            yield up
            return
        up.add_metric([], 1)
        yield up
        yield _gauge("presence_rooms", "Rooms in the database.", counted.rooms)
        yield _gauge(
            "presence_peers",
            "Peers in the database.",
            by="state",
            values={
                "active": counted.active_peers,
                "inactive": counted.peers - counted.active_peers,
            },
        )
        yield _gauge(
            "presence_sessions",
            "Reasons why a peer is active: sockets of all workers, and REST joins.",
            by="kind",
            values={"socket": counted.socket_sessions, "rest": counted.rest_sessions},
        )
        yield _gauge("presence_files", "Uploaded files in the database.", counted.files)
        yield _gauge("presence_file_bytes", "Their size together.", counted.file_bytes)
        yield from self._webhooks(stand, unordered)

    def _webhooks(self, stand: list[Standing], unordered: int) -> Iterator[Metric]:
        since = [standing.oldest for standing in stand if standing.oldest is not None]
        yield _gauge(
            "presence_webhook_waiting",
            "Events that webhooks have not taken yet, counted up to 10,000 for each.",
            sum(standing.waiting for standing in stand) + unordered,
        )
        yield _gauge(
            "presence_webhook_oldest_seconds",
            "How old the oldest of them is.",
            max((clock.now() - min(since)).total_seconds(), 0) if since else 0,
        )
        yield _gauge(
            "presence_webhook_failed",
            "Events that webhooks would not take for three days.",
            sum(standing.failed for standing in stand),
        )

    def _connections(self) -> Iterator[Metric]:
        open_now = list(self._run.socketio.server.eio.sockets.values())
        websockets = sum(1 for connection in open_now if connection.upgraded)
        queued = [connection.queue.size for connection in open_now]
        yield _gauge(
            "presence_connections",
            "Connections of this process.",
            by="transport",
            values={"websocket": websockets, "polling": len(open_now) - websockets},
        )
        yield _gauge("presence_queue_bytes", "What waits to be sent to them.", sum(queued))
        yield _gauge(
            "presence_queue_bytes_max", "What waits for the slowest one.", max(queued, default=0)
        )
        yield _gauge(
            "presence_held_signal_bytes",
            "Signals that wait for peers whose connection was lost.",
            self._run.switchboard.held_bytes,
        )

    def _counts(self) -> Iterator[Metric]:
        counters = self._run.counters
        yield _counter(
            "presence_events",
            "Events from clients, by what they were answered: ok, or the code of an error.",
            ["event", "outcome"],
            counters.events,
        )
        yield _counter(
            "presence_http_requests",
            "HTTP requests, but for those of Socket.IO.",
            ["method", "route", "status"],
            counters.requests,
        )
        ended = {(reason.replace(" ", "_"),): n for reason, n in counters.disconnects.items()}
        yield _counter("presence_disconnects", "Connections that ended.", ["reason"], ended)
        evicted = {(reason.replace(" ", "_"),): 0 for reason in EVICTIONS}
        evicted |= {reason: n for reason, n in ended.items() if reason in evicted}
        yield _counter(
            "presence_evictions", "Those of them that the server ended.", ["reason"], evicted
        )
        yield _gauge(
            "presence_last_backup_timestamp_seconds",
            "When a backup was last finished; 0 for never.",
            backing_up.last_backup(self._run.settings.upload_path),
        )
        yield _gauge(
            "presence_maintenance",
            "1 while nothing can be changed (flask maintenance on), else 0.",
            maintenance.known() is not None,
        )
        yield _counter("presence_uploads", "Files taken in.", [], {(): counters.uploads})
        yield _counter(
            "presence_peers_erased",
            "Peers erased because a room keeps only so many, or only for so long.",
            [],
            {(): counters.erased_peers},
        )
        yield _counter("presence_upload_bytes", "Their bytes.", [], {(): counters.upload_bytes})
        yield _histogram(
            "presence_announce_seconds",
            "From a change to its list in the queue of every connection of the room.",
            {"": counters.announcing},
        )
        yield _histogram(
            "presence_loop_stall_seconds",
            "How long nothing of this process could run, looked at 20 times a second.",
            {"": counters.stalls},
        )
        requests = {(outcome,): counters.webhook_requests[outcome] for outcome in _OUTCOMES}
        yield _counter("presence_webhook_requests", "Requests to webhooks.", ["outcome"], requests)
        yield _histogram(
            "presence_webhook_seconds",
            "From an event to a webhook's having taken it.",
            {"": counters.webhook_latency},
        )
        yield _histogram(
            "presence_ghost_seconds",
            "How long sessions outlived their socket, or their worker's last sign of life.",
            counters.ghosts,
            by="kind",
        )


def _gauge(
    name: str,
    meaning: str,
    value: float | None = None,
    *,
    by: str = "",
    values: dict[str, int] | None = None,
) -> GaugeMetricFamily:
    if values is None:
        return GaugeMetricFamily(name, meaning, value=value)
    family = GaugeMetricFamily(name, meaning, labels=[by])
    for label, number in values.items():
        family.add_metric([label], number)
    return family


def _counter(
    name: str, meaning: str, labels: list[str], counts: Mapping[Any, int]
) -> CounterMetricFamily:
    family = CounterMetricFamily(name, meaning, labels=labels)
    for key, number in sorted(counts.items()):
        family.add_metric(list(key), number)
    return family


def _histogram(
    name: str, meaning: str, histograms: dict[str, Histogram], *, by: str = ""
) -> HistogramMetricFamily:
    family = HistogramMetricFamily(name, meaning, labels=[by] if by else [])
    for label, histogram in histograms.items():
        bounds = [*map(str, histogram.bounds), "+Inf"]
        buckets = list(zip(bounds, itertools.accumulate(histogram.counts), strict=True))
        family.add_metric([label] if by else [], buckets, histogram.total)
    return family
