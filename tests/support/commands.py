"""Commands of the server, run as an operator runs them."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

from tests.support.paths import ROOT


def flask(*arguments: str, **settings: Any) -> subprocess.CompletedProcess[str]:
    """Run a command of the server with these settings; a traceback fails the test."""
    done = subprocess.run(
        [sys.executable, "-m", "flask", *arguments],
        cwd=ROOT,
        env=os.environ | {name: str(value) for name, value in settings.items()},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert "Traceback" not in done.stderr, done.stderr
    return done
