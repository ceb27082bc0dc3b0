"""What a server that is tested finds first on its path."""
