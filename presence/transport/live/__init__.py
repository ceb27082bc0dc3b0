"""Rooms as this process knows and tells them: lists, changes, the switchboard of signals."""
