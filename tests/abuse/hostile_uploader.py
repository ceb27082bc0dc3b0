"""A client that uploads one file again and again, as a program of its own.

``python -m tests.abuse.hostile_uploader URL FILE``: says the first status, then goes on until its
standard input ends, and says how many were sent.
"""

from __future__ import annotations

import select
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path

import requests

from tests.support.paths import ROOT


@contextmanager
def uploading(url: str, files: list[Path]) -> Generator[list[int]]:
    """Upload each of these files again and again for as long as the block lasts.

    Gives a list that holds, once the block is over, how many of each were sent.
    """
    sent: list[int] = []
    processes = [
        subprocess.Popen(
            [sys.executable, "-m", "tests.abuse.hostile_uploader", url, str(file)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for file in files
    ]
    try:
        for process in processes:
            assert process.stdout
            assert process.stdout.readline().strip() in {"413", "415", "503"}
        yield sent
    finally:
        for process in processes:
            with suppress(subprocess.TimeoutExpired):
                sent.append(int(process.communicate(timeout=60)[0]))
            process.kill()


def main(url: str, path: str) -> None:
    """Upload until nobody asks for it any more."""
    content, count = Path(path).read_bytes(), 0
    with requests.Session() as session:
        while not (count and select.select([sys.stdin], [], [], 0)[0]):
            files = {"file": (Path(path).name, content)}
            data = {"room_name": "hostile", "peer_id": "hostile"}
            answer = session.post(url, data=data, files=files, timeout=60)
            if not count:
                print(answer.status_code, flush=True)
            count += 1
    print(count)


if __name__ == "__main__":
    main(*sys.argv[1:])
