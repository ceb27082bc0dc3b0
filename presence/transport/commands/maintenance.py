"""``flask maintenance``: everything can be read and nothing changed, until it is off again.

A row of the database says so; every process of the server looks at it once a second.
"""

from __future__ import annotations

import logging

import click

from presence.domain.values import clock
from presence.storage import database, maintenance, schema
from presence.transport.process.runtime import Runtime
from presence.transport.wire.serializers import timestamp

log = logging.getLogger(__name__)

_LOOK_SECONDS = 1.0
_LONGEST_NOTE = 200


def init_app(run: Runtime) -> None:
    """Add the command to the app's own, and let a serving process know what it said."""
    run.at_start(_look)
    run.upkeep.every(_LOOK_SECONDS, _look, "whether there is maintenance could not be read")

    @run.app.cli.command("maintenance")
    @click.argument("switch", type=click.Choice(["on", "off", "status"]), default="status")
    @click.option("--note", default="", help="A sentence for people, such as until when.")
    def switch_maintenance(switch: str, note: str) -> None:
        """Let nothing be changed (on), let everything be changed again (off), or say which.

        Lists, files and pages are served meanwhile, connections stay, and who loses theirs comes
        back. Everything else is refused with 503 “maintenance”, and clients try again.
        """
        note = " ".join(note.split())
        if len(note) > _LONGEST_NOTE:
            raise click.BadParameter(f"at most {_LONGEST_NOTE} characters", param_hint="--note")
        if not schema.is_current():
            raise click.ClickException(
                "The tables of the database are not those of this version. Start the server once, "
                "or run “flask db upgrade”."
            )
        if switch == "status":
            with database.reading() as session:
                maintenance.refresh(session)
        else:
            with database.writing(upkeep=True) as session:
                if switch == "on":
                    maintenance.begin(session, note, clock.now())
                else:
                    maintenance.end(session)
                maintenance.refresh(session)
        click.echo(_state())


def _state() -> str:
    """Return a sentence that says whether anything can be changed."""
    pause = maintenance.known()
    if pause is None:
        return "Everything can be changed: there is no maintenance."
    return (
        f"Nothing can be changed since {timestamp(pause.since)}, as every process of the server "
        f"knows within two seconds{f': {pause.note}' if pause.note else ''}. “flask maintenance "
        "off” ends it."
    )


def _look() -> None:
    """Learn whether there is maintenance. Needs an app context."""
    with database.reading() as session:
        if not maintenance.refresh(session):
            return
    if maintenance.known() is None:
        log.info("maintenance is over: everything can be changed again")
    else:
        log.warning("maintenance: nothing can be changed until “flask maintenance off”")
