"""Rooms as this process knows them and tells their sockets: lists, changes, waiting signals."""
