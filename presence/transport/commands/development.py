"""``flask run``: the server for development starts as the others do, or says in a line why not."""

from __future__ import annotations

import os
import sys

import click
from flask.helpers import get_debug_flag

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
    reload = context.params.get("reload")
    reloads = get_debug_flag() if reload is None else reload
    serves = os.environ.get("WERKZEUG_RUN_MAIN") == "true"
    try:
        if not serves:
            listening.check(context.params["host"], context.params["port"])
        if serves or not reloads:
            starting.keep_to_owner()
            run.start()
    except (listening.CannotListen, CannotServe) as error:
        sys.exit(str(error))
