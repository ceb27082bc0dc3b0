"""``flask version``: which version of the server this is, and what it runs on."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version

import click

from presence.config import VERSION
from presence.transport.process.runtime import Runtime

# Whose versions a report of a fault should name.
_PACKAGES = ("Flask", "Flask-SocketIO", "python-socketio", "eventlet", "gunicorn", "SQLAlchemy")


def init_app(run: Runtime) -> None:
    """Add the command to the app's own."""

    @run.app.cli.command("version")
    def show() -> None:
        """Print the versions of the server, of Python and of what it stands on."""
        click.echo(f"Presence {VERSION}")
        click.echo(f"Python {platform.python_version()}")
        for name in _PACKAGES:
            try:
                click.echo(f"{name} {version(name)}")
            except PackageNotFoundError:
                click.echo(f"{name} is not installed")
