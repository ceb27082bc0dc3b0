"""A Flask app that answers a REST join and does nothing: the floor for REST on this stack."""

from __future__ import annotations

from typing import Any

from flask import Flask, request

app = Flask(__name__)


@app.post("/api/webrtc/rooms/<room_name>/join")
def join(room_name: str) -> dict[str, Any]:
    """Answer with the keys of an answer, and nobody in the room."""
    peer_id = request.get_json()["peer_id"]
    return {"success": True, "room_name": room_name, "peer_id": peer_id, "peers": []}
