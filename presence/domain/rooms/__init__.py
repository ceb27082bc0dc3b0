"""Rooms: what they show, what happened in them, what they may keep and for how long."""
