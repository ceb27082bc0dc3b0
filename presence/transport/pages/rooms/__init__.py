"""The overview, a room's page, and the parts of both that change while they are looked at."""
