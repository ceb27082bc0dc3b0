"""What ``script/cluster`` runs: a private cluster that lasts until Ctrl-C.

It needs what `requirements.txt` brings, and the programs of `programs.OF_A_CLUSTER`.
"""

from __future__ import annotations

import signal
import sys

from local_cluster import packages
from local_cluster.private_cluster import PrivateCluster
from local_cluster.private_postgresql import PrivatePostgresql

_USAGE = "usage: script/cluster [how many workers, 1 to 9]"
_ENDS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def main(arguments: list[str]) -> None:
    """Start the cluster, say where it is, and end all of it when asked to."""
    count = arguments[0] if arguments else "3"
    if len(arguments) > 1 or count not in [str(number) for number in range(1, 10)]:
        sys.exit(_USAGE)
    packages.exit_without_a_clusters()
    for number in _ENDS:
        signal.signal(number, _interrupt)
    postgresql = PrivatePostgresql()
    cluster = None
    try:
        postgresql.start()
        cluster = PrivateCluster(postgresql, int(count))
        cluster.start()
        print(f"Presence is ready: {cluster.url}/")
        for worker in cluster.workers:
            print(f"  worker {worker.name}: {worker.url}/  {worker.log}")
        print(f"  Redis: {cluster.redis.url}   PostgreSQL: {cluster.database_url}")
        print("Ctrl-C ends it.", flush=True)
        signal.pause()
    except KeyboardInterrupt:
        pass
    except AssertionError as error:
        sys.exit(f"The cluster did not start: {error}")
    finally:
        for number in _ENDS:
            signal.signal(number, signal.SIG_IGN)
        if cluster is not None:
            cluster.close()
        postgresql.close()


def _interrupt(_number: int, _frame: object) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    main(sys.argv[1:])
