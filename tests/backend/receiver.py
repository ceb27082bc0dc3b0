"""A backend in a process of its own that takes webhooks: run with a port, a file and the secrets.

Each request's events are appended to the file, a line each, once the official library has verified
its signature. How it behaves is read from ``behaviour.json`` beside the file, with every request.
"""

from __future__ import annotations

import json
import random
import socket
import sys
import threading
import time
from pathlib import Path
from typing import Any

from flask import Flask, request
from standardwebhooks.webhooks import Webhook

app = Flask(__name__)
TAKEN = Path(sys.argv[2])
BEHAVIOUR = TAKEN.with_name("behaviour.json")
SECRET = sys.argv[3]
ONE_AT_A_TIME = threading.Lock()


@app.post("/hook")
def hook() -> Any:
    """Take the events of a request, unless told otherwise for one of their rooms, or for all."""
    data = request.get_data()
    events = Webhook(SECRET).verify(data, dict(request.headers))["events"]
    told = json.loads(BEHAVIOUR.read_text()) if BEHAVIOUR.exists() else {}
    answer = ""
    for room in ("*", *(event["room_name"] for event in events)):
        how = told.get(room)
        if how == "hang":
            time.sleep(60)
        elif how == "late":
            time.sleep(15)
            break
        elif how == "slow":
            time.sleep(random.uniform(0, 0.5))
            break
        elif how == "redirect":
            return "", 307, {"Location": "/elsewhere"}
        elif how == "long":
            answer = "x" * 10_000_000  # and has taken them: other rooms' may be among them
        elif how == "stumble":
            request.environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
            return ""
        elif how is not None:
            return "no", int(how)
    message = request.headers["webhook-id"]
    lines = "".join(json.dumps({**event, "message": message}) + "\n" for event in events)
    with ONE_AT_A_TIME, TAKEN.open("ab", buffering=0) as file:
        file.write(lines.encode())
    return answer


@app.post("/elsewhere")
def elsewhere() -> Any:
    """Note that somebody followed a redirect."""
    TAKEN.with_name("followed").touch()
    return ""


if __name__ == "__main__":
    import logging

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    if TAKEN.exists():  # whoever was killed while it wrote has not answered
        whole = TAKEN.read_bytes().rpartition(b"\n")
        TAKEN.write_bytes(whole[0] + whole[1])
    app.run("127.0.0.1", int(sys.argv[1]), threaded=True)
