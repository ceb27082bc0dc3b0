"""``flask restore``: puts a backup back, into the same kind of database or the other."""

from __future__ import annotations

from pathlib import Path

import click

from presence.storage.blobs import DiskNearlyFull
from presence.storage.copies import engines, restoring
from presence.storage.copies.archives import Archive
from presence.storage.copies.engines import CannotCopy
from presence.transport.commands.unserved import failures, unserved
from presence.transport.process.runtime import Runtime
from presence.transport.wire.wording import plural


def init_app(run: Runtime) -> None:
    """Add the command to the app's own."""

    @run.app.cli.command("restore")
    @click.argument("place", type=click.Path(exists=True, path_type=Path))
    @click.option("--replace", is_flag=True, help="Let the backup take the place of what is there.")
    @click.option("--check", is_flag=True, help="Only say whether the backup is whole.")
    def restore(place: Path, replace: bool, check: bool) -> None:
        """Bring the backup at PLACE into the database and upload folder of the settings.

        The server must be stopped meanwhile. All of the backup is checked before anything is
        changed.
        """
        with failures("The database is as it was."):
            archive = Archive(place)
            restoring.check(archive, click.echo)
            files = archive.manifest["files"]
            rows = sum(table["rows"] for table in archive.manifest["tables"])
            what = (
                f"{plural(rows, 'row', 'rows')} and {plural(files['count'], 'file', 'files')} of "
                f"{archive.manifest['made_at']}"
            )
            if check:
                click.echo(f"The backup is whole: {what}.")
                return
            engine = engines.open_database(run.settings.database_url)
            with unserved(engine):
                try:
                    restoring.restore(archive, engine, run.blobs, click.echo, replace)
                except DiskNearlyFull:
                    raise CannotCopy(
                        "The disk of the uploaded files has too little room for them "
                        "(PRESENCE_MIN_FREE_DISK_BYTES stays free). The database is as it was."
                    ) from None
        click.echo(
            f"Restored and compared: {what}. Start the server. Files that were there and are of "
            "no row now go with “flask sweep --orphans 1s”. Whom you erased since the backup, "
            "erase again."
        )
