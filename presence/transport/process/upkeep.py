"""What a process does all the time: renew its lease, end sessions that are untrue, and sweep."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

from presence.domain.peers import recovery, sessions, workers
from presence.domain.permissions import bans
from presence.storage import database
from presence.storage.checkpoints import Checkpointer
from presence.transport.process.sweeping import Sweeper

if TYPE_CHECKING:
    from presence.transport.process.runtime import Runtime

log = logging.getLogger(__name__)

_INTERVAL_SECONDS = 1.0
# Well below `workers.LEASE`, so that several renewals may fail before a worker counts as dead.
_RENEW_SECONDS = 2.0


def run(runtime: Runtime) -> None:
    """Look after the sessions for as long as the process runs; a failure is logged and retried."""
    renewed = time.monotonic()
    sweeper = Sweeper(runtime)
    checkpointer = Checkpointer()
    while True:
        runtime.socketio.sleep(_INTERVAL_SECONDS)
        try:
            renew = time.monotonic() - renewed >= _RENEW_SECONDS
            _once(runtime, renew)
            if renew:
                renewed = time.monotonic()
        except Exception:
            log.exception("the upkeep of sessions failed; trying again")
        runtime.socketio.sleep(0)  # let others in between
        try:
            _sweep(runtime, sweeper, checkpointer)
        except Exception:
            log.exception("what is overdue could not be removed; trying again")


def _once(runtime: Runtime, renew: bool) -> None:
    with runtime.app.app_context():
        with database.reading() as session:
            expired = sessions.any_expired(session)
        changed: set[str] = set()
        if expired:
            with database.writing() as session:
                changed |= sessions.end_expired(session)
                recovery.settle(session)
        if renew:
            with database.writing() as session:
                held = workers.renew(session, runtime.worker_id)
                recovery.forget_expired(session)
                bans.forget_expired(session)
            runtime.last_write = time.monotonic()
            if not held:
                changed |= _come_back(runtime)
        # After the renewal: who was frozen itself is not to judge by what it knew before.
        with database.reading() as session:
            dead = workers.any_dead(session)
        if dead:
            with database.writing() as session:
                outlived = workers.outlived(session)
                ended = workers.end_dead(session)
            if ended:  # and not by another survivor at the same time
                runtime.note_ghosts(outlived)
            changed |= ended
        if runtime.lost_a_disconnect:
            # Cleared before looking, so that one more meanwhile is not overlooked.
            runtime.lost_a_disconnect = False
            try:
                with database.writing() as session:
                    changed |= workers.end_lost_sockets(
                        session, runtime.worker_id, runtime.is_connected
                    )
                runtime.counters.end_unrecorded()
            except Exception:
                runtime.lost_a_disconnect = True
                raise
    runtime.announcer.mark(*changed)
    if renew:
        runtime.announcer.catch_up()
        if runtime.cluster is not None:
            runtime.cluster.look_after()


def _sweep(runtime: Runtime, sweeper: Sweeper, checkpointer: Checkpointer) -> None:
    """Remove some of what is overdue, and wipe what was erased from the database's files."""
    with runtime.app.app_context():
        checkpointer.step()
        sweeper.step()
        runtime.partial_uploads.sweep()
        if runtime.scrub:
            runtime.scrub = False
            if not database.scrub():
                runtime.scrub = True


def _come_back(runtime: Runtime) -> set[str]:
    """Enter this worker again, which was frozen for so long that the others took it for dead.

    They have ended its sessions, so its connections are closed: their clients come back by
    themselves, to whichever worker. Returns the names of the rooms concerned.
    """
    if runtime.stopping:
        return set()
    log.warning("this process was taken for dead; closing its connections, which will come back")
    with database.writing() as session:
        changed = workers.register(session, runtime.worker_id, alone=False)
    for connection in list(runtime.socketio.server.eio.sockets.values()):
        connection.close(wait=False)
    return changed
