"""``flask doctor``: looks at an installation, and says what is well and what is not.

It changes nothing, may run beside the server, and works where the server itself cannot start.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable

import click
from flask import Flask
from flask.cli import AppGroup

from presence.config import VERSION, InvalidSetting
from presence.transport.commands import outside_checks, storage_checks
from presence.transport.commands.findings import FAULT, Finding, fault
from presence.transport.process.runtime import Runtime

_MARKS = {"well": "ok   ", "warning": "WARN ", FAULT: "FAULT"}


def init_app(run: Runtime) -> None:
    """Add the command to the app's own."""
    run.app.cli.add_command(_command(lambda: _findings(run)))


def without_settings(error: InvalidSetting) -> Flask:
    """Return an app whose only command is this one, for settings with which there is no other.

    Every other command is answered with what is wrong with the settings.
    """

    class Refusing(AppGroup):
        def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
            if name != "doctor":
                raise click.ClickException(str(error))
            return super().get_command(ctx, name)

    app = Flask("presence")
    app.cli = Refusing()
    app.cli.add_command(_command(lambda: [fault("settings", str(error))]))
    return app


def _findings(run: Runtime) -> Iterable[Finding]:
    """Look at everything, one thing after the other."""
    with run.app.app_context():
        yield from outside_checks.look(run.settings)
        yield from storage_checks.look(run)


def _command(look: object) -> click.Command:
    @click.command("doctor")
    @click.option("--json", "as_json", is_flag=True, help="Print JSON instead of lines.")
    def doctor(as_json: bool) -> None:
        """Look at settings, database, disk and all else that the server needs; 1 for a fault."""
        found: list[Finding] = []
        for finding in look():  # type: ignore[operator]
            found.append(finding)
            if not as_json:
                click.echo(f"{_MARKS[finding.state]} {finding.name}: {finding.detail}")
        is_well = all(finding.state != FAULT for finding in found)
        if as_json:
            checks = [finding._asdict() for finding in found]
            body = {"version": VERSION, "ok": is_well, "checks": checks}
            click.echo(json.dumps(body, indent=2, ensure_ascii=False))
        elif is_well:
            click.echo(f"Presence {VERSION} can be started here.")
        else:
            click.echo(f"Presence {VERSION} cannot serve here until the faults are put right.")
        sys.exit(0 if is_well else 1)

    return doctor
