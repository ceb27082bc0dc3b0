"""Routes for whoever watches over the server: is it alive, can it serve, and its figures."""

from __future__ import annotations

import hmac
import time
from collections.abc import Callable

from flask import Blueprint, Response, request
from prometheus_client.exposition import choose_encoder
from sqlalchemy import text

from presence import errors
from presence.config import VERSION
from presence.domain.permissions import tokens
from presence.errors import MetricsTokenRequired, NotReady
from presence.storage import database
from presence.transport.admission import request_access
from presence.transport.process.runtime import Runtime, runtime
from presence.transport.rest import metrics
from presence.transport.wire import described, server_responses
from presence.transport.wire.needs import Need, public, refusals
from presence.transport.wire.serializers import Body

bp = Blueprint("health_api", __name__)

# The upkeep writes every two seconds; a database that took none of these has a fault.
_WRITE_SECONDS = 8.0
_STOPPING = "The server is shutting down."
# How many times as long as a look took the next one waits, and how long at most.
_REST, _LONGEST_REST_SECONDS = 20, 5.0
_METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}


def init_app(run: Runtime) -> None:
    """Count every request of the app, and have its figures ready to be asked for."""
    app = run.app
    app.extensions["presence.metrics"] = metrics.registry(run)

    @app.after_request
    def count(response: Response) -> Response:
        route = request.url_rule.rule if request.url_rule else "none"
        method = request.method if request.method in _METHODS else "other"
        run.counters.requests[method, route, str(response.status_code)] += 1
        return response


@bp.get("/healthz")
@public
@described.route(group="operations", answer=server_responses.Alive, uses_storage=False)
def healthz() -> Body:
    """Say that the process is alive and handles requests; it looks at nothing else."""
    return {"status": "alive", "version": VERSION}


@bp.get("/readyz")
@public
@described.route(
    group="operations", answer=server_responses.Ready, errors=(errors.NotReady,), uses_storage=False
)
def readyz() -> Body:
    """Say whether the server can serve: its database, its upload folder, and its own state.

    503 has the reasons why not, one for each check that failed.
    """
    run = runtime()
    reasons = {"shutdown": _STOPPING} if run.stopping else _rested(run, "readyz", _reasons)
    if reasons:
        raise NotReady(reasons)
    return {"status": "ready", "checks": ["shutdown", *_CHECKS]}


@bp.get("/metrics")
@public
@described.route(
    group="operations",
    answer=("text/plain", "application/openmetrics-text"),
    errors=(errors.MetricsTokenRequired, *refusals(Need(tokens.ADMIN))),
    uses_storage=False,
)
def figures() -> Response:
    """Return the server's figures in the format of Prometheus.

    They are for everybody, unless PRESENCE_METRICS_TOKEN is set or the server is locked; then for
    whoever shows that token, or one with the grant `admin`.
    """
    _check_token(runtime())
    encode, content_type = choose_encoder(request.headers.get("Accept", ""))
    registry = runtime().app.extensions["presence.metrics"]
    shown = _rested(runtime(), content_type, lambda _run: {"text": encode(registry)})
    response = Response(shown["text"], content_type=content_type)
    response.cache_control.no_store = True
    return response


def _check_token(run: Runtime) -> None:
    """Raise unless the request shows a token that opens the figures, where one is needed."""
    token, shown = run.settings.metrics_token, request_access.bearer()
    if token and shown and hmac.compare_digest(shown.encode(), token.encode()):
        return
    if run.access.is_locked:
        run.access.read(shown, request.environ).check(tokens.ADMIN)
    elif token:
        raise MetricsTokenRequired


def _reasons(run: Runtime) -> Body:
    """Return why the server cannot serve, one reason for each check that failed."""
    found = {name: check(run) for name, check in _CHECKS.items()}
    return {name: reason for name, reason in found.items() if reason}


def _rested(run: Runtime, name: str, look: Callable[[Runtime], Body]) -> Body:
    """Return what a look at the server finds, or found a moment ago.

    The next look waits for some times as long as the last one took, so that asking without end
    takes but a small part of the time. These routes are not counted, for they matter most when
    everything is counted out.
    """
    looks: dict[str, tuple[float, Body]] = run.app.extensions.setdefault("presence.looks", {})
    until, found = looks.get(name, (0.0, {}))
    began = time.monotonic()
    if began >= until:
        found = look(run)
        now = time.monotonic()
        looks[name] = (now + min(_REST * (now - began), _LONGEST_REST_SECONDS), found)
    return found


def _database(run: Runtime) -> str | None:
    try:
        with database.reading() as session:
            session.execute(text("SELECT 1"))
    except Exception:
        return "The database does not answer."
    silent = time.monotonic() - run.last_write
    if silent > _WRITE_SECONDS:
        return f"The database has taken no write for {silent:.0f} s."
    return None


def _uploads(run: Runtime) -> str | None:
    try:
        run.blobs.try_writing()
    except OSError as error:
        return f"The upload folder cannot be written to: {error.strerror}."
    return None


def _disk(run: Runtime) -> str | None:
    try:
        enough = run.blobs.has_space(0)
    except OSError:
        return None  # the check of the folder says what is wrong
    return None if enough else "The disk has too little free, so uploads are refused."


def _redis(run: Runtime) -> str | None:
    if run.cluster is None or run.cluster.up:
        return None
    return "Redis cannot be reached, so other processes hear of changes late."


_CHECKS: dict[str, Callable[[Runtime], str | None]] = {
    "database": _database,
    "uploads": _uploads,
    "disk": _disk,
    "redis": _redis,
}
