"""One running process: what it holds, and what it does at the start, every second, at the end."""
