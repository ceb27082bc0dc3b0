"""``flask run``: the server for development starts as the others do, or says in a line why not."""

from __future__ import annotations

import os
import sys
from typing import Any

import click
import werkzeug
from click.core import ParameterSource
from flask import cli
from flask.helpers import get_debug_flag

from presence.setting_values import listening_address
from presence.storage.database import CannotServe
from presence.transport.commands import listening
from presence.transport.process import starting
from presence.transport.process.runtime import Runtime


def start_if_run(run: Runtime) -> None:
    """Start the runtime if ``flask run`` is about to serve it; end the process where it cannot.

    With the reloader there are two processes: one watches the files and holds the address, the
    other one, which it starts anew at every change, serves.
    """
    context = click.get_current_context(silent=True)
    if context is None or context.info_name != "run" or "with_threads" not in context.params:
        return
    host, port = _place(context, run)
    _serve_on(host, port)
    reload = context.params.get("reload")
    reloads = get_debug_flag() if reload is None else reload
    serves = os.environ.get("WERKZEUG_RUN_MAIN") == "true"
    try:
        if not serves:
            listening.check(host, port)
        if serves or not reloads:
            starting.keep_to_owner()
            run.start()
    except (listening.CannotListen, CannotServe) as error:
        sys.exit(str(error))


def _place(context: click.Context, run: Runtime) -> tuple[str, int]:
    """Return where to listen: as the options say, or else as HOST and PORT do."""
    host, port = run.settings.address, run.settings.port
    if context.get_parameter_source("host") is not ParameterSource.DEFAULT:
        try:
            host = listening_address(context.params["host"])
        except ValueError as error:
            raise click.ClickException(f"--host {error}") from None
    if context.get_parameter_source("port") is not ParameterSource.DEFAULT:
        port = context.params["port"]
    return host, port


def _serve_on(host: str, port: int) -> None:
    """Let ``flask run``, which knows neither HOST nor PORT, serve on this address.

    Its own variables (FLASK_RUN_PORT) are read before any code of the app is: it would answer a
    wrong port with its usage, which names no setting of ours.
    """

    def serve(_host: str, _port: int, app: Any, **options: Any) -> None:
        werkzeug.run_simple(host, port, app, **options)

    cli.run_simple = serve  # type: ignore[attr-defined, assignment]
