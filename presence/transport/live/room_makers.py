"""Against whom a room is counted that a join makes.

On a locked server the token says who somebody is: one for a pattern may make many rooms, one for a
room by its name makes what its issuer meant, and an admin may make any. On an open server anybody
may take any name, so the address counts.
"""

from __future__ import annotations

import hashlib

from presence.config import Settings
from presence.domain.permissions.tokens import Grants
from presence.domain.rooms.rooms import Maker
from presence.transport.admission.client_addresses import address_of
from presence.transport.wire.serializers import Body


def maker_of(settings: Settings, grants: Grants | None, environ: Body) -> Maker | None:
    """Return who makes a room, with how many it may make, or None if nobody is counted.

    `grants` is what the token allows, None on an open server.
    """
    if not settings.max_rooms_each:
        return None
    if grants is None:
        # The address itself is nobody's business for as long as the room lasts.
        digest = hashlib.blake2b(address_of(environ).encode(), digest_size=16).hexdigest()
        return Maker(f"address:{digest}", settings.max_rooms_each)
    if grants.is_admin or grants.room.is_exact:
        return None
    return Maker(grants.peer_id, settings.max_rooms_each)
