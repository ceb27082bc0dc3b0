"""How many connections the operating system lets this process hold open.

Every connection takes a file descriptor, and many systems give a process 1,024 of them unless it
asks for more. Imports nothing of the server: ``gunicorn.conf.py`` asks before anything else is
loaded.
"""

from __future__ import annotations

# What the process needs besides connections: the database, files, listeners, the log.
_OTHERS = 200
# Connections that wait for a request of their client, and bodies that are being read, at once: what
# a process has room for beside its clients.
MAX_WAITING, MAX_BODIES = 1000, 800


def places_for(clients: int) -> int:
    """Return how many connections a process holds open that serves so many clients.

    A polling client uses two; besides there are those that wait for a request, bodies that are
    being read, and whoever is refused and has to be told so.
    """
    return 2 * clients + MAX_WAITING + MAX_BODIES + 500


def make_room_for(connections: int) -> int:
    """Raise the process's limit of file descriptors as far as needed and allowed.

    Returns for how many connections there is room, `connections` at most.
    """
    try:
        import resource  # noqa: PLC0415  (there is none on Windows, nor such a limit)
    except ImportError:
        return connections
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = connections + _OTHERS
    if soft != resource.RLIM_INFINITY and soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    if soft == resource.RLIM_INFINITY:
        return connections
    return max(1, min(connections, soft - _OTHERS))
