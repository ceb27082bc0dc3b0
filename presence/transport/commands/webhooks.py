"""``flask webhooks``: how webhooks stand, sending again what they refused, and trying them."""

from __future__ import annotations

import secrets

import click
from flask.cli import AppGroup

from presence.domain.outbox import queues, standings
from presence.domain.outbox.standings import Standing
from presence.domain.values import clock
from presence.storage import database, schema
from presence.transport.backend.couriers import Couriers
from presence.transport.process.runtime import Runtime
from presence.transport.wire import serializers
from presence.transport.wire.wording import plural


def init_app(run: Runtime) -> None:
    """Add the commands to the app's own."""
    group = AppGroup("webhooks", help="Look at webhooks, send again what they refused, try them.")
    couriers: Couriers = run.app.extensions["couriers"]

    @group.command("status")
    def status() -> None:
        """Say of each webhook how many events wait, since when, and how many were given up."""
        _check(couriers)
        with database.reading() as session:
            waiting = standings.unordered(session)
            found = standings.standings(session, [s.key for s in couriers.senders])
        for sender, standing in zip(couriers.senders, found, strict=True):
            click.echo(f"{sender.name}: {_said(standing)}")
        if waiting:
            click.echo(f"{plural(waiting, 'event has', 'events have')} just been written down.")

    @group.command("retry")
    def retry() -> None:
        """Send what waits at once, and what was given up once more."""
        _check(couriers)
        with database.writing() as session:
            given_up = queues.retry_failed(session)
            hurried = queues.hurry(session)
        click.echo(
            f"What was given up in {plural(given_up, 'room', 'rooms')} is sent again, and "
            f"{plural(hurried, 'room that waits is', 'rooms that wait are')} tried now."
        )

    @group.command("test")
    def test() -> None:
        """Send a request without events to each webhook, and say what came of it."""
        _check(couriers)
        failed = False
        for sender in couriers.senders:
            answer = sender.send_bodies(f"msg_test_{secrets.token_hex(8)}", [])
            failed = failed or bool(answer.error)
            click.echo(f"{sender.name}: {answer.error or 'took it'}")
        if failed:
            raise click.exceptions.Exit(1)

    run.app.cli.add_command(group)


def _check(couriers: Couriers) -> None:
    """Raise `click.ClickException` where there are no webhooks, or no tables of this version."""
    if not couriers.senders:
        raise click.ClickException(
            "There are no webhooks. Set PRESENCE_WEBHOOK_URLS and PRESENCE_WEBHOOK_SECRETS first."
        )
    if not schema.is_current():
        raise click.ClickException(
            "The tables of the database are not those of this version. Start the server once, or "
            "run “flask db upgrade”."
        )


def _said(standing: Standing) -> str:
    if not standing.waiting and not standing.failed:
        return "nothing waits"
    parts = []
    if standing.waiting:
        assert standing.oldest is not None
        age = (clock.now() - standing.oldest).total_seconds()
        parts.append(
            f"{plural(standing.waiting, 'event waits', 'events wait')} in "
            f"{plural(standing.rooms, 'room', 'rooms')}, the oldest since "
            f"{serializers.timestamp(standing.oldest)} ({age:.0f} s)"
        )
    if standing.failing_rooms:
        parts.append(f"refused in {plural(standing.failing_rooms, 'room', 'rooms')}")
    if standing.failed:
        parts.append(f"{plural(standing.failed, 'event was', 'events were')} given up")
    return ", ".join(parts) + (f"; {standing.error}" if standing.error else "")
