"""The REST routes over plain HTTP, and the headers of every answer."""
