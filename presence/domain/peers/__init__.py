"""Peers in rooms: joining, leaving, the sessions that keep them active, coming back."""
