"""Connections: WebSocket frames and streams, whose turn it is, the rooms of sockets."""
