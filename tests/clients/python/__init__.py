"""The Python client, blocking and asyncio, against live servers."""
