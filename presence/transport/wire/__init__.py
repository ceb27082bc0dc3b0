"""The words of the line: what clients send and get, as models, bodies and JSON."""
