"""One running process: ways to start it, restarts, health, metrics and logs."""
