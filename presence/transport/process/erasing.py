"""What goes with peers that the server itself erases: waiting signals, and a line in the log."""

from __future__ import annotations

import logging

from presence.domain.rooms.erasure import ErasedPeers
from presence.transport.process.runtime import Runtime
from presence.transport.wire.wording import plural

log = logging.getLogger(__name__)


def note_erased(run: Runtime, room_name: str, erased: ErasedPeers, why: str = "") -> None:
    """Forget, count and log peers that were erased for others to have room, or because of age."""
    if not erased.peer_ids:
        return
    for peer_id in erased.peer_ids:
        run.members.drop_waiting(room_name, peer_id)
    run.counters.erased_peers += len(erased.peer_ids)
    run.scrub = True
    log.info(
        "erased %s of room %r with %s: %s",
        plural(len(erased.peer_ids), "inactive peer", "inactive peers"),
        room_name,
        plural(len(erased.stored_names), "file", "files"),
        why or f"a room keeps {run.settings.max_kept_peers} peers",
    )
