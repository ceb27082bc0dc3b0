"""``flask backup``: database and files together, while the server goes on."""

from __future__ import annotations

import time
from pathlib import Path

import click

from presence.storage.copies import backing_up, engines
from presence.transport.commands.unserved import failures
from presence.transport.process.runtime import Runtime
from presence.transport.wire.wording import plural

# Names of lost files that are printed.
_MOST_NAMED = 10


def init_app(run: Runtime) -> None:
    """Add the command to the app's own."""

    @run.app.cli.command("backup")
    @click.argument("place", type=click.Path(path_type=Path))
    def backup(place: Path) -> None:
        """Make a backup of database and files at PLACE, beside a running server.

        PLACE is made: a folder, or one file if it ends in .tar. In a folder that is there already
        the backup gets a name of its own, with date and time.
        """
        if place.is_dir():
            place /= f"presence-{time.strftime('%Y-%m-%d-%H%M%S')}"
        with failures("No backup was made."):
            engine = engines.open_database(run.settings.database_url)
            made = backing_up.back_up(engine, run.blobs, place, click.echo)
            note = run.settings.upload_path / backing_up.LAST
            note.parent.mkdir(parents=True, exist_ok=True)
            note.write_text(f"{place.absolute()}\n")
        click.echo(
            f"{plural(made.rows, 'row', 'rows')} and {plural(made.files, 'file', 'files')} of "
            f"{plural(made.bytes, 'byte', 'bytes')} are in {place}. It is as secret as the server, "
            "and has no settings in it: keep SECRET_KEY and PRESENCE_TOKEN_KEYS elsewhere."
        )
        if made.lost:
            names = ", ".join(made.lost[:_MOST_NAMED])
            click.echo(
                f"{plural(len(made.lost), 'file has', 'files have')} a row and no bytes, since "
                f"before this backup: {names}",
                err=True,
            )
