"""Looking after the database's files: its log worked off, and what was erased wiped from them."""

from __future__ import annotations

from presence.storage import database
from presence.storage.checkpoints import Checkpointer
from presence.transport.process.runtime import Runtime


def init_app(run: Runtime) -> None:
    """Have both done every second, as far as there is anything to do."""
    checkpointer = Checkpointer()

    def scrub() -> None:
        if run.scrub:
            run.scrub = False
            if not database.scrub():
                run.scrub = True

    run.upkeep.every(0, checkpointer.step, "the database's log could not be worked off")
    run.upkeep.every(0, scrub, "what was erased could not be wiped from the database's files")
