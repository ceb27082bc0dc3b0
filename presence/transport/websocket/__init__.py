"""WebSocket by itself: frames on the wire, and streams of them that the hub serves in turns."""
