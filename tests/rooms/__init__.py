"""Joining and leaving rooms, what a room shows and holds, and who is told of it."""
