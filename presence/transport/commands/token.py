"""``flask token``: makes an access token on the command line."""

from __future__ import annotations

import re
import time

import click

from presence.domain.permissions import tokens
from presence.errors import InvalidField
from presence.setting_values import SECONDS_A_UNIT
from presence.transport.process.runtime import Runtime


def init_app(run: Runtime) -> None:
    """Add the command to the app's own."""

    @run.app.cli.command("token")
    @click.argument("peer_id")
    @click.argument("room")
    @click.option(
        "--grants",
        default=",".join(tokens.USUAL_GRANTS),
        show_default=True,
        help=f"What it allows, by commas: {', '.join(tokens.GRANTS)}.",
    )
    @click.option(
        "--ttl", default="1h", show_default=True, help="How long it lasts: 90s, 5m, 12h, 30d, 2w."
    )
    @click.option("--kid", help="Which key of PRESENCE_TOKEN_KEYS signs it; the first by default.")
    def token(peer_id: str, room: str, grants: str, ttl: str, kid: str | None) -> None:
        """Print a token for PEER_ID, good for ROOM: a name, or a pattern such as 'team-*'."""
        if not run.settings.is_locked:
            raise click.ClickException(
                "Tokens are for a locked server. Set PRESENCE_MODE=locked, SECRET_KEY, "
                "PRESENCE_ALLOWED_ORIGINS and PRESENCE_ALLOWED_HOSTS first."
            )
        given = [grant.strip() for grant in grants.split(",") if grant.strip()]
        expires_at = int(time.time()) + _seconds(ttl)
        try:
            made = tokens.mint(
                run.access.keys, peer_id, room, given, expires_at=expires_at, kid=kid
            )
        except InvalidField as error:
            raise click.ClickException(error.detail) from None
        click.echo(made)


def _seconds(text: str) -> int:
    """Return a duration such as ``90``, ``90s``, ``5m``, ``12h``, ``7d`` or ``2w`` in seconds."""
    found = re.fullmatch(r"(\d{1,9})([smhdw]?)", text.strip())
    if found is None or not int(found[1]):
        raise click.BadParameter("must be a number with s, m, h, d or w, such as 12h.")
    return int(found[1]) * SECONDS_A_UNIT[found[2] or "s"]
