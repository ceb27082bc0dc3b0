"""Backends that take webhooks."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

from tests.backend.receivers import NewReceiver, Receiver


@pytest.fixture
def new_receiver(tmp_path: Path) -> Generator[NewReceiver]:
    """Make a receiver of one's own."""
    made: list[Receiver] = []

    def make(**how: Any) -> Receiver:
        folder = tmp_path / f"receiver{len(made)}"
        folder.mkdir()
        made.append(Receiver(folder, **how))
        return made[-1].start()

    yield make
    for receiver in made:
        receiver.kill()


@pytest.fixture
def receiver(new_receiver: NewReceiver) -> Receiver:
    """A receiver."""
    return new_receiver()
