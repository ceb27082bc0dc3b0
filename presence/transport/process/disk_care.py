"""Looking after the disk: the database's log, what was erased, uploads that broke off."""

from __future__ import annotations

from presence.storage import database
from presence.storage.checkpoints import Checkpointer
from presence.transport.process.runtime import Runtime


def init_app(run: Runtime) -> None:
    """Have all of it done every second, as far as there is anything to do."""
    checkpointer = Checkpointer()

    def scrub() -> None:
        if run.scrub:
            run.scrub = False
            if not database.scrub():
                run.scrub = True

    run.upkeep.every(0, checkpointer.step, "the database's log could not be worked off")
    run.upkeep.every(0, run.partial_uploads.sweep, "uploads that broke off could not be removed")
    run.upkeep.every(0, scrub, "what was erased could not be wiped from the database's files")
