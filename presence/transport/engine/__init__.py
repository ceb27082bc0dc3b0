"""Connections: Engine.IO, WebSocket, what waits to be sent, and the Socket.IO server on top."""
