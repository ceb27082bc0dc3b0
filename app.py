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

    # Before anything else is imported, so that all of it cooperates.
    eventlet.monkey_patch()

import logging
import sys

import click
from dotenv import load_dotenv
from flask import Flask

from presence import logs
from presence.config import ROOT, InvalidSetting, Settings
from presence.storage import database
from presence.transport.admission import (
    access,
    client_addresses,
    connection_limits,
    error_handlers,
    hosts_and_origins,
    request_bodies,
    security_headers,
)
from presence.transport.commands import sweep, token
from presence.transport.engine import socketio_server
from presence.transport.events import joining, recovery, signals, watching
from presence.transport.pages import api, doctor, views
from presence.transport.process.runtime import Runtime
from presence.transport.rest import (
    activity,
    descriptions,
    health,
    ice,
    moderation,
    resumable,
    rooms,
    tokens,
    uploads,
)
from presence.transport.wire import file_urls, json_codec


def create_app(settings: Settings | None = None) -> Flask:
    """Build the app; settings come from the environment unless given.

    Nothing of the world outside is changed until the runtime is started
    (``app.extensions["presence"].start()``), which the first request does if nobody did before.
    """
    try:
        settings = settings or Settings.from_environment()
    except InvalidSetting as error:
        if click.get_current_context(silent=True) is None:
            raise
        # A command of `flask` says it in a line.
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

    socketio = socketio_server.make_socketio(app, settings)
    runtime = Runtime(app, settings, socketio)
    app.extensions["presence"] = runtime

    error_handlers.init_app(app)
    file_urls.init_app(app, settings)
    token.init_app(app, settings, runtime.access)
    sweep.init_app(app, runtime)
    joining.init_app(runtime)
    recovery.init_app(runtime)
    signals.init_app(runtime)
    watching.init_app(runtime)
    app.register_blueprint(rooms.bp)
    app.register_blueprint(activity.bp)
    app.register_blueprint(ice.bp)
    app.register_blueprint(descriptions.bp)
    app.register_blueprint(moderation.bp)
    app.register_blueprint(tokens.bp)
    health.init_app(app, runtime)
    app.register_blueprint(uploads.bp)
    app.register_blueprint(resumable.bp)
    app.register_blueprint(views.bp)
    app.register_blueprint(doctor.bp)
    app.register_blueprint(api.bp)

    if settings.is_locked:
        app.wsgi_app = hosts_and_origins.Gate(app.wsgi_app, settings)  # type: ignore[method-assign]
    app.wsgi_app = request_bodies.CheckedBodies(app.wsgi_app)  # type: ignore[method-assign]
    if not settings.websocket_compression:
        app.wsgi_app = socketio_server.UncompressedWebSocket(app.wsgi_app)  # type: ignore[method-assign]
    connection_limits.init_app(app, runtime)
    access.init_app(app, runtime)
    if settings.trusted_proxies:
        app.wsgi_app = client_addresses.behind_proxies(  # type: ignore[method-assign]
            app.wsgi_app, settings.trusted_proxies
        )
    app.wsgi_app = socketio_server.StartOnFirstRequest(app.wsgi_app, runtime)  # type: ignore[method-assign]
    app.wsgi_app = security_headers.Headers(app.wsgi_app)  # type: ignore[method-assign]
    app.wsgi_app = socketio_server.LoggedErrors(app.wsgi_app)  # type: ignore[method-assign]
    return app


def main() -> None:
    """Serve on the address of the settings with eventlet's own server."""
    load_dotenv(ROOT / ".env")
    try:
        settings = Settings.from_environment()
    except InvalidSetting as error:
        sys.exit(str(error))
    logs.set_up(settings)
    logs.catch_printing()
    app = create_app(settings)
    runtime: Runtime = app.extensions["presence"]
    try:
        runtime.start()
    except database.CannotServe as error:
        sys.exit(str(error))
    print(f"Presence is ready: {hosts_and_origins.whereabouts(settings)}", flush=True)
    runtime.socketio.run(app, host=settings.host, port=settings.port)


if __name__ == "__main__":
    main()
