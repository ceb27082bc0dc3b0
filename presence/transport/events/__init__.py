"""The Socket.IO events."""
