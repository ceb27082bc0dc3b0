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
from presence.transport import (
    access,
    activity_api,
    addresses,
    admission,
    api_page,
    bodies,
    descriptions_api,
    doctor,
    error_handlers,
    events,
    file_links,
    gate,
    headers,
    health_api,
    ice_api,
    json_codec,
    moderation_api,
    pages,
    recovery,
    rooms_api,
    server,
    signals,
    sweep_command,
    token_command,
    tokens_api,
    uploads_api,
    watching,
)
from presence.transport.runtime import Runtime


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

    socketio = server.make_socketio(app, settings)
    runtime = Runtime(app, settings, socketio)
    app.extensions["presence"] = runtime

    error_handlers.init_app(app)
    file_links.init_app(app, settings)
    token_command.init_app(app, settings, runtime.access)
    sweep_command.init_app(app, runtime)
    events.init_app(runtime)
    recovery.init_app(runtime)
    signals.init_app(runtime)
    watching.init_app(runtime)
    app.register_blueprint(rooms_api.bp)
    app.register_blueprint(activity_api.bp)
    app.register_blueprint(ice_api.bp)
    app.register_blueprint(descriptions_api.bp)
    app.register_blueprint(moderation_api.bp)
    app.register_blueprint(tokens_api.bp)
    health_api.init_app(app, runtime)
    app.register_blueprint(uploads_api.bp)
    app.register_blueprint(pages.bp)
    app.register_blueprint(doctor.bp)
    app.register_blueprint(api_page.bp)

    if settings.is_locked:
        app.wsgi_app = gate.Gate(app.wsgi_app, settings)  # type: ignore[method-assign]
    app.wsgi_app = bodies.CheckedBodies(app.wsgi_app)  # type: ignore[method-assign]
    if not settings.websocket_compression:
        app.wsgi_app = server.UncompressedWebSocket(app.wsgi_app)  # type: ignore[method-assign]
    admission.init_app(app, runtime)
    access.init_app(app, runtime)
    if settings.trusted_proxies:
        app.wsgi_app = addresses.behind_proxies(  # type: ignore[method-assign]
            app.wsgi_app, settings.trusted_proxies
        )
    app.wsgi_app = server.StartOnFirstRequest(app.wsgi_app, runtime)  # type: ignore[method-assign]
    app.wsgi_app = headers.Headers(app.wsgi_app)  # type: ignore[method-assign]
    app.wsgi_app = server.LoggedErrors(app.wsgi_app)  # type: ignore[method-assign]
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
    print(f"Presence is ready: {gate.whereabouts(settings)}", flush=True)
    runtime.socketio.run(app, host=settings.host, port=settings.port)


if __name__ == "__main__":
    main()
