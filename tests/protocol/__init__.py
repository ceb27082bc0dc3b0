"""The protocols of the line, rule by rule: Engine.IO 4, Socket.IO 5 and WebSocket."""
