"""Locked servers: tokens, hosts and origins, moderation, and who may do what."""
