"""``flask move-database``: brings everything into another database, from SQLite to PostgreSQL."""

from __future__ import annotations

import click
from sqlalchemy import Engine

from presence.storage.copies import engines, moving
from presence.transport.commands.unserved import failures, unserved
from presence.transport.process.runtime import Runtime
from presence.transport.wire.wording import plural

_ADVICE = "Run the same command again: it goes on where it stopped."


def init_app(run: Runtime) -> None:
    """Add the command to the app's own."""

    @run.app.cli.command("move-database")
    @click.argument("url")
    def move_database(url: str) -> None:
        """Bring every row from the database of DATABASE_URL into the empty one at URL.

        The server must be stopped meanwhile. DATABASE_URL's database is only read. A move that was
        ended in the middle goes on when it is called again. At the end the rows of both are
        counted and compared.
        """
        with failures(_ADVICE):
            source, target = engines.open_database(run.settings.database_url), _other(run, url)
            with unserved(source), unserved(target):
                sums = moving.move(source, target, click.echo)
        for name, digest in sums.items():
            click.echo(f"  {name:<12} {digest.count:>10,} rows   sum {digest.total:016x}")
        click.echo(
            f"All {plural(sum(digest.count for digest in sums.values()), 'row', 'rows')} are in "
            f"{engines.name(target)}, and were compared. Uploaded files stay where they are.\n"
            "Set\n\n"
            f"    DATABASE_URL={url}\n\n"
            f"and start the server. {engines.name(source)} was left as it is: remove it when you "
            "have seen that all is well."
        )


def _other(run: Runtime, url: str) -> Engine:
    target = engines.open_database(url)
    if target.url == engines.open_database(run.settings.database_url).url:
        raise click.BadParameter("is what DATABASE_URL names already.", param_hint="URL")
    return target
