"""The composition root: builds the app from its layers. Nothing below imports it.

``flask run``, gunicorn (through ``gunicorn.conf.py``), ``python app.py`` and the tests all get the
same app from `create_app`.
"""

from __future__ import annotations

if __name__ == "__main__":
    import warnings

    with warnings.catch_warnings():
        # It says at every start that it is being retired; requirements.txt pins a version that has
        # what is needed, and the server runs on threads as well.
        warnings.filterwarnings("ignore", message=r"\s*Eventlet is deprecated")
        import eventlet
        import eventlet.wsgi

    # Before anything else is imported, so that all of it cooperates.
    eventlet.monkey_patch()

import logging
import sys
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

import click
from flask import Flask
from flask.cli import FlaskGroup
from socketio import Manager

from presence import logs
from presence.config import ROOT, InvalidSetting, Settings, read_env_file
from presence.storage import database, schema
from presence.transport.admission import (
    client_addresses,
    error_handlers,
    hosts_and_origins,
    request_access,
    request_limits,
    socket_access,
)
from presence.transport.admission.connection_limits import ConnectionLimits
from presence.transport.admission.hosts_and_origins import Gate
from presence.transport.admission.request_bodies import CheckedBodies
from presence.transport.admission.request_limits import CheckedHeaders
from presence.transport.admission.request_paths import Paths
from presence.transport.admission.requests_in_flight import RequestsInFlight
from presence.transport.admission.security_headers import Headers
from presence.transport.admission.socketio_errors import SocketIoErrors
from presence.transport.backend import couriers, feed, once
from presence.transport.commands import (
    backup,
    development,
    doctor,
    listening,
    maintenance,
    move_database,
    restore,
    sweep,
    token,
    version,
    webhooks,
)
from presence.transport.describing import descriptions
from presence.transport.engine import socketio_server
from presence.transport.engine.socket_rooms import SocketRooms
from presence.transport.engine.socketio_server import UncompressedWebSocket
from presence.transport.events import (
    joining,
    recovery,
    signals,
    state,
    sync,
    unknown,
    user_data,
    watching,
)
from presence.transport.events import room_data as room_data_events
from presence.transport.pages import (
    admin,
    api,
    clients,
    doctor_probes,
    last_hour,
    pictures,
)
from presence.transport.pages import doctor as doctor_pages
from presence.transport.pages.assets import static_files
from presence.transport.pages.rooms import views
from presence.transport.process import (
    disk_care,
    hinting,
    leases,
    starting,
    storage_limits,
    sweeping,
    watchdog,
)
from presence.transport.process.runtime import Runtime
from presence.transport.process.wsgi_layers import LoggedErrors, StartOnFirstRequest, TidyPaths
from presence.transport.rest import (
    activity,
    batch,
    health,
    ice,
    made_rooms,
    moderation,
    publishing,
    resumable,
    room_data,
    rooms,
    tokens,
    uploads,
)
from presence.transport.websocket.elsewhere import NoUpgrades
from presence.transport.wire import file_urls, json_codec

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

Part = Callable[[Runtime], None]
Layer = Callable[["WSGIApplication", Runtime], "WSGIApplication"]

# What the server is made of. Each part registers what it does: at the start, every second and at
# the end of a process, in this order; with an event, a request or a command.
PARTS: tuple[Part, ...] = (
    watchdog.be_patient,
    starting.trust_issuers,
    starting.claim_storage,
    leases.init_app,
    storage_limits.init_app,
    starting.heed_revocations,
    starting.look_after_lobbies,
    starting.recover_files,
    starting.warn,
    starting.hear_others,
    disk_care.init_app,
    pictures.init_app,
    last_hour.init_app,
    sweeping.init_app,
    couriers.init_app,
    lambda run: error_handlers.init_app(run.app),
    hinting.init_app,
    lambda run: static_files.init_app(run.app),
    lambda run: request_limits.init_app(run.app, run.rates),
    lambda run: request_access.init_app(run.app, run.access),
    lambda run: once.init_app(run, hinting.note),
    lambda run: socket_access.init_server(run.socketio.server, run.access),
    joining.init_app,
    recovery.init_app,
    user_data.init_app,
    room_data_events.init_app,
    sync.init_app,
    signals.init_app,
    state.init_app,
    watching.init_app,
    unknown.init_app,
    health.init_app,
    token.init_app,
    sweep.init_app,
    doctor.init_app,
    version.init_app,
    watchdog.init_app,
    move_database.init_app,
    maintenance.init_app,
    backup.init_app,
    restore.init_app,
    webhooks.init_app,
)

# The routes, by what they are about.
BLUEPRINTS = (
    rooms.bp,
    room_data.bp,
    activity.bp,
    uploads.bp,
    resumable.bp,
    ice.bp,
    moderation.bp,
    made_rooms.bp,
    publishing.bp,
    batch.bp,
    feed.bp,
    tokens.bp,
    descriptions.bp,
    health.bp,
    views.bp,
    pictures.bp,
    admin.bp,
    doctor_pages.bp,
    doctor_probes.bp,
    api.bp,
    clients.bp,
)

# What every request passes on its way in, the outermost first, and why it stands where it stands.
# The last one hands over to Socket.IO, which takes what is its own and leaves the rest to Flask.
LAYERS: tuple[tuple[Layer, str], ...] = (
    (LoggedErrors, "libraries print about requests in any layer"),
    (lambda app, _: Headers(app), "every answer has them, also that of a layer which refuses"),
    (lambda app, _: CheckedHeaders(app), "whatever looks at headers below is done soon"),
    (StartOnFirstRequest, "nothing below works before the runtime has started"),
    (
        lambda app, run: client_addresses.behind_proxies(app, run.settings.trusted_proxies),
        "whose address it is, before anything is counted against it",
    ),
    (
        lambda app, run: Paths(app, run.settings),
        "which route it is for, before anything looks at the path",
    ),
    (lambda app, _: TidyPaths(app), "everything below knows an address by one path"),
    (
        lambda app, run: RequestsInFlight(app, run.settings),
        "a place is held from here on, until the answer has been sent",
    ),
    (
        lambda app, run: ConnectionLimits(app, run.settings, run.rates, run.sockets, run.unused),
        "one connection too many is to cost nothing more",
    ),
    (
        lambda app, run: app if run.settings.websocket_compression else UncompressedWebSocket(app),
        "the offer is to be gone before Socket.IO looks for it",
    ),
    (lambda app, _: CheckedBodies(app), "whoever reads a body below reads one that is checked"),
    (
        lambda app, run: Gate(app, run.settings),
        "a wrong host or origin is told so by Socket.IO, REST and pages alike",
    ),
    (
        lambda app, run: SocketIoErrors(app, run.socketio.server.eio),
        "what Socket.IO refuses looks like every other refusal",
    ),
    (lambda app, _: NoUpgrades(app), "who asks for a WebSocket where there is none is told so"),
)


def create_app(settings: Settings | None = None) -> Flask:
    """Build the app; settings come from the environment unless given.

    Nothing of the world outside is changed until the runtime is started
    (``app.extensions["presence"].start()``), which the first request does if nobody did before.
    """
    context = click.get_current_context(silent=True)
    try:
        if settings is None and context is not None:
            read_env_file()  # Flask has read it too, and passed over what it did not understand
        settings = settings or Settings.from_environment()
    except InvalidSetting as error:
        if context is None:
            raise
        if isinstance(context.command, FlaskGroup):  # which asks for a command by its name
            return doctor.without_settings(error)
        # `flask run` says it in a line.
        raise click.ClickException(str(error)) from None
    logging.getLogger("presence").setLevel(settings.log_level.upper())
    if not logging.getLogger().handlers:  # flask run, and other servers that set nothing up
        logs.set_up(settings)

    app = Flask(
        "presence",
        root_path=str(ROOT),
        instance_path=str(ROOT / "instance"),
        template_folder="templates",
        static_folder="static",
    )
    app.config["MAX_CONTENT_LENGTH"] = settings.max_message_bytes
    json_codec.init_app(app)
    database.init_app(app, settings)
    schema.init_app(app)
    file_urls.init_app(app, settings)
    socketio = socketio_server.make_socketio(
        app,
        settings,
        _manager(settings),
        None if settings.origins == "*" else partial(hosts_and_origins.allows_origin, settings),
    )
    runtime = app.extensions["presence"] = Runtime(app, settings, socketio)
    for add in PARTS:
        add(runtime)
    for blueprint in BLUEPRINTS:
        app.register_blueprint(blueprint)
    for layer, _reason in reversed(LAYERS):
        app.wsgi_app = layer(app.wsgi_app, runtime)  # type: ignore[method-assign, assignment]
    development.start_if_run(runtime)
    return app


def _manager(settings: Settings) -> Manager:
    """Return what knows which sockets are in which Socket.IO room, on all workers where several."""
    if not settings.redis_url:
        return SocketRooms()
    # Not at the top: it needs the library of Redis.
    from presence.transport.cluster.socket_manager import ClusterManager  # noqa: PLC0415

    return ClusterManager(settings.redis_prefix)


def main() -> None:
    """Serve on the address of the settings with eventlet's own server."""
    # Not at the top: it imports eventlet.
    from presence.transport.commands.eventlet_requests import Request  # noqa: PLC0415

    try:
        read_env_file()
        settings = Settings.from_environment()
    except InvalidSetting as error:
        sys.exit(str(error))
    logs.set_up(settings)
    logs.catch_printing()
    starting.keep_to_owner()
    app = create_app(settings)
    runtime: Runtime = app.extensions["presence"]
    try:
        listening.check(settings.address, settings.port)
        runtime.start()
    except (listening.CannotListen, database.CannotServe) as error:
        logging.getLogger("presence").error("%s", error)
        sys.exit(1)
    # One that is too long is answered by the app; eventlet would hang up without a word.
    eventlet.wsgi.MAX_HEADER_LINE = 65_536
    print(f"Presence is ready: {hosts_and_origins.whereabouts(settings)}", flush=True)
    runtime.socketio.run(app, host=settings.address, port=settings.port, protocol=Request)


if __name__ == "__main__":
    main()
