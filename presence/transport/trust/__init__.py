"""Whose word is taken: the keys of identity providers, fetched and kept."""
