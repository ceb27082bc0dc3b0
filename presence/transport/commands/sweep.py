"""``flask sweep``: removes what is overdue all at once, and files that have lost their row.

It may run beside the server: it changes the database in the same short transactions, claims
nothing, and the server tells its rooms of what changed within a few seconds.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import timedelta
from itertools import islice

import click

from presence.domain.files import files
from presence.domain.rooms import quotas
from presence.domain.values import clock
from presence.setting_values import seconds_of
from presence.storage import database, schema
from presence.transport.process.runtime import Runtime
from presence.transport.process.sweeping import Sweeper
from presence.transport.wire.wording import plural

# Names that are looked up in one query.
_BATCH = 500


def init_app(run: Runtime) -> None:
    """Add the command to the app's own."""

    @run.app.cli.command("sweep")
    @click.option("--dry-run", is_flag=True, help="Only say what would be removed.")
    @click.option(
        "--orphans",
        default="6h",
        show_default=True,
        help="How old files without a row must be to go; “forever” leaves them all.",
    )
    def sweep(dry_run: bool, orphans: str) -> None:
        """Remove what is older than the PRESENCE_KEEP_… settings say, and files without a row.

        Safe beside a running server.
        """
        try:
            age = seconds_of(orphans)
        except ValueError as error:
            raise click.BadParameter(str(error), param_hint="--orphans") from None
        if not schema.is_current():
            raise click.ClickException(
                "The tables of the database are not those of this version. Start the server once, "
                "or run “flask db upgrade”."
            )
        swept = Sweeper(run, dry_run=dry_run).sweep()
        lost = list(_orphans(run, age)) if age is not None else []
        if not dry_run:
            for name in lost:
                run.blobs.remove(name)
            # Its own folder for files on their way out.
            run.blobs.recover(is_dead=lambda worker_id: worker_id == run.worker_id, known=_known)
            with database.reading() as session:
                miscounted = quotas.is_miscounted(session)
            if miscounted:
                click.echo("What rooms and the server hold was counted anew.")
                with database.writing() as session:
                    quotas.recount(session)
            database.scrub()
        # A dry run does not know which files would have gone with their peers already.
        peers_and_files = (
            f"Would remove {plural(swept.peers, 'peer with its files', 'peers with their files')}, "
            f"{plural(swept.files, 'other file', 'other files')}"
            if dry_run
            else f"Removed {plural(swept.peers, 'peer', 'peers')}, "
            f"{plural(swept.files, 'file', 'files')}"
        )
        click.echo(
            f"{peers_and_files}, {plural(swept.rooms, 'room', 'rooms')}, "
            f"{plural(swept.activity, 'entry', 'entries')} of activity, "
            f"{plural(swept.broadcasts, 'kept broadcast', 'kept broadcasts')} and "
            f"{plural(len(lost), 'file', 'files')} without a row."
        )


def _orphans(run: Runtime, age: int) -> Iterator[str]:
    """Yield the stored files older than so many seconds that no row knows.

    Whatever else lies in the folder is somebody else's.
    """
    names = run.blobs.stored_before(clock.now() - timedelta(seconds=age))
    ours = filter(files.is_stored_name, names)
    while batch := list(islice(ours, _BATCH)):
        yield from sorted(set(batch) - _known(batch))


def _known(names: Iterable[str]) -> set[str]:
    with database.reading() as session:
        return files.known(session, set(names))
