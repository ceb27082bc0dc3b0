"""Signals and calls: the clients, their examples, ICE servers, waiting and recovery."""
