"""What reads many bytes at once lets everything else run in between."""

from __future__ import annotations

import subprocess
import sys

from tests.support.paths import ROOT

# In a process of its own, because eventlet has to patch it as gunicorn's worker does.
READ_FORMS = """
import eventlet
eventlet.monkey_patch()
import io
import tempfile
from pathlib import Path
from presence.storage.blobs import LocalBlobs
from presence.transport.rest.upload_form import IncomingForm

PIECES, UPLOADS = 40, 10
head = b'--x\\r\\nContent-Disposition: form-data; name="file"; filename="a.txt"\\r\\n\\r\\n'
body = head + b"y" * (PIECES * 65_536) + b"\\r\\n--x--\\r\\n"
blobs = LocalBlobs(Path(tempfile.mkdtemp()), "worker")
turns = 0

def upload():
    form = IncomingForm(lambda: blobs.receive(len(body)))
    form.read(io.BytesIO(body), "x", lambda fields: None)
    form.discard()

def others():
    global turns
    while True:
        turns += 1
        eventlet.sleep(0)

eventlet.spawn(others)
for reading in [eventlet.spawn(upload) for _ in range(UPLOADS)]:
    reading.wait()
assert turns >= PIECES * UPLOADS, turns
"""


def test_others_get_a_turn_for_every_piece_of_every_upload() -> None:
    result = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", READ_FORMS],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert result.returncode == 0, result.stderr
