"""This process among the workers: its lease, and the end of sessions that are untrue.

A peer is active while it has a session, and a session counts while the worker that holds it renews
its lease.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable

from presence.domain.peers import lobbies, recovery, sessions, workers
from presence.domain.permissions import bans, revocations
from presence.storage import database, maintenance
from presence.transport.cluster.states import REFRESH_SECONDS
from presence.transport.live.switchboard import Seat
from presence.transport.process.runtime import Runtime

log = logging.getLogger(__name__)

# Well below `workers.LEASE`, so that several renewals may fail before a worker counts as dead.
_RENEW_SECONDS = 2.0


def init_app(run: Runtime) -> None:
    """Have the process enter the workers, stay among them, and leave them at its end."""
    leases = _Leases(run)
    run.at_start(leases.enter)
    run.upkeep.every(0, leases.end_expired, "expired sessions could not be ended")
    run.upkeep.every(_RENEW_SECONDS, leases.renew, "the lease could not be renewed")
    run.upkeep.every(0, leases.end_dead, "the sessions of a dead process could not be ended")
    run.upkeep.every(0, leases.end_lost, "lost connections could not be recorded")
    run.upkeep.every(_RENEW_SECONDS, leases.catch_up, "missed changes could not be announced")
    if run.kept_broadcasts.is_on:
        catch_up = run.kept_broadcasts.catch_up
        run.upkeep.every(_RENEW_SECONDS, catch_up, "missed broadcasts could not be told")
    if run.cluster is not None:
        run.upkeep.every(REFRESH_SECONDS, run.states.refresh, "states could not be told again")
    run.upkeep.every(0, run.diary.write, "changes could not be written to the rooms' activity")
    run.at_end(run.diary.catch_up)
    run.at_end(leases.leave)


class _Leases:
    """The steps, in the order in which they are taken."""

    def __init__(self, run: Runtime) -> None:
        self._run = run

    def enter(self) -> None:
        """Register this worker, and end what earlier runs left behind."""
        run = self._run
        # Only one process can use an SQLite file for serving, so it is alone there.
        alone = database.is_sqlite()
        left_behind: list[sessions.Ended] = []
        with database.writing(upkeep=True) as session:
            self._note_ghosts(workers.outlived(session, everybody=alone))
            if alone:
                left_behind = sessions.of_sockets(session)
            workers.register(session, run.worker_id, alone=alone)
        for item in left_behind:
            # A crash cut these off, and their clients are about to come back.
            run.switchboard.lost(str(item.sid), Seat(item.room_name, item.peer_id))

    def end_expired(self) -> None:
        """End REST sessions, and those of lost sockets, whose time is over.

        During maintenance nobody can renew a REST session, so they are renewed here.
        """
        if maintenance.known() is not None:
            with database.writing(upkeep=True) as session:
                sessions.prolong_rest(session, self._run.settings.rest_session_seconds)
        with database.reading() as session:
            expired = sessions.any_expired(session)
        if expired:
            with database.writing(upkeep=True) as session:
                changed = sessions.end_expired(session)
                recovery.settle(session)
            self._run.announcer.mark(*changed)

    def renew(self) -> None:
        """Renew the lease, and forget what has run out."""
        run = self._run
        with database.writing(upkeep=True) as session:
            held = workers.renew(session, run.worker_id)
            recovery.forget_expired(session)
            bans.forget_expired(session)
            revocations.forget_expired(session)
            lobbies.forget_expired(session)
        run.last_write = time.monotonic()
        if not held:
            self._come_back()

    def end_dead(self) -> None:
        """End the sessions of workers whose lease has run out.

        After the renewal: who was frozen itself is not to judge by what it knew before.
        """
        if time.monotonic() - self._run.last_write > 2 * _RENEW_SECONDS:
            return
        with database.reading() as session:
            dead = workers.any_dead(session)
        if dead:
            with database.writing(upkeep=True) as session:
                outlived = workers.outlived(session)
                ended = workers.end_dead(session)
            if ended:  # and not by another survivor at the same time
                self._note_ghosts(outlived)
            self._run.announcer.mark(*ended)

    def end_lost(self) -> None:
        """End the sessions of sockets whose disconnect could not be recorded."""
        run = self._run
        if not run.lost_a_disconnect:
            return
        # Cleared before looking, so that one more meanwhile is not overlooked.
        run.lost_a_disconnect = False
        try:
            with database.writing(upkeep=True) as session:
                changed = workers.end_lost_sockets(session, run.worker_id, run.sockets.is_connected)
            run.counters.end_unrecorded()
        except Exception:
            run.lost_a_disconnect = True
            raise
        run.announcer.mark(*changed)

    def catch_up(self) -> None:
        """Announce what a crash or a lost message swallowed."""
        self._run.announcer.catch_up()
        if self._run.cluster is not None:
            self._run.cluster.look_after()

    def leave(self) -> None:
        """Take this worker out, with whatever sessions it still has."""
        with database.writing(upkeep=True) as session:
            left = workers.leave(session, self._run.worker_id)
        self._run.announcer.mark(*left)

    def _come_back(self) -> None:
        """Enter this worker again, which was frozen for so long that the others took it for dead.

        They have ended its sessions, so its connections are closed: their clients come back by
        themselves, to whichever worker.
        """
        run = self._run
        if run.stopping:
            return
        log.warning(
            "this process was taken for dead; closing its connections, which will come back"
        )
        with database.writing(upkeep=True) as session:
            changed = workers.register(session, run.worker_id, alone=False)
        for connection in run.sockets.connections():
            connection.close(wait=False)
        run.announcer.mark(*changed)

    def _note_ghosts(self, seconds: Iterable[float]) -> None:
        """Count sessions that outlived their worker by so many seconds."""
        for outlived in seconds:
            self._run.counters.ghosts["worker"].observe(outlived)
