"""``flask token``: makes an access token on the command line, and takes tokens back."""

from __future__ import annotations

import re
import time

import click
from flask.cli import AppGroup

from presence.domain.permissions import revocations, room_patterns, tokens
from presence.errors import InvalidField
from presence.setting_values import SECONDS_A_UNIT
from presence.storage import database, schema
from presence.transport.process.runtime import Runtime
from presence.transport.wire import messages, serializers
from presence.transport.wire.backend_messages import RevokeTokens


class _Tokens(AppGroup):
    """The group of commands, whose first one need not be named: ``flask token ada studio``."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if args and args[0] not in self.commands and args[0] not in ctx.help_option_names:
            args = ["make", *args]
        return super().parse_args(ctx, args)


def init_app(run: Runtime) -> None:
    """Add the commands to the app's own."""
    group = _Tokens("token", help="Make a token (flask token PEER_ID ROOM), or take some back.")
    run.app.cli.add_command(group)

    @group.command("make")
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
    def make(peer_id: str, room: str, grants: str, ttl: str, kid: str | None) -> None:
        """Print a token for PEER_ID, good for ROOM: a name, or a pattern such as 'team-*'."""
        _check_locked(run)
        given = [grant.strip() for grant in grants.split(",") if grant.strip()]
        expires_at = int(time.time()) + _seconds(ttl)
        try:
            made = tokens.mint(
                run.access.keys, peer_id, room, given, expires_at=expires_at, kid=kid
            )
        except InvalidField as error:
            raise click.ClickException(error.detail) from None
        click.echo(made)

    @group.command("revoke")
    @click.option("--jti", help="One token, by the claim “jti” in it.")
    @click.option("--peer", "peer_id", help="All that this peer was given up to now.")
    @click.option("--room", help="Those alone that are for this room or pattern; * by default.")
    @click.option("--for", "duration", help="For how long, such as 30d; for good by default.")
    def revoke(
        jti: str | None, peer_id: str | None, room: str | None, duration: str | None
    ) -> None:
        """Take tokens back: those that have all that is given here. Every process heeds it."""
        _check_locked(run)
        if jti is None and peer_id is None and room is None:
            raise click.UsageError("Say which tokens: --jti, --peer or --room.")
        seconds = None if duration is None else _seconds(duration)
        given = {"jti": jti, "peer_id": peer_id, "room": room, "seconds": seconds}
        named = {name: value for name, value in given.items() if value is not None}
        try:
            message = messages.parse(RevokeTokens, named)
        except InvalidField as error:
            raise click.ClickException(error.detail) from None
        if not schema.is_current():
            raise click.ClickException(
                "The tables of the database are not those of this version. Start the server once, "
                "or run “flask db upgrade”."
            )
        with database.writing() as session:
            made = revocations.revoke(
                session,
                room_patterns.parse(message.room or "*"),
                jti=message.jti,
                peer_id=message.peer_id,
                seconds=message.seconds,
            )
        until = "for good" if made.until is None else f"until {serializers.timestamp(made.until)}"
        click.echo(f"They are good no longer, {until}. Processes that serve know within 3 s.")


def _check_locked(run: Runtime) -> None:
    if not run.settings.is_locked:
        raise click.ClickException(
            "Tokens are for a locked server. Set PRESENCE_MODE=locked, SECRET_KEY, "
            "PRESENCE_ALLOWED_ORIGINS and PRESENCE_ALLOWED_HOSTS first."
        )


def _seconds(text: str) -> int:
    """Return a duration such as ``90``, ``90s``, ``5m``, ``12h``, ``7d`` or ``2w`` in seconds."""
    found = re.fullmatch(r"(\d{1,9})([smhdw]?)", text.strip())
    if found is None or not int(found[1]):
        raise click.BadParameter("must be a number with s, m, h, d or w, such as 12h.")
    return int(found[1]) * SECONDS_A_UNIT[found[2] or "s"]
