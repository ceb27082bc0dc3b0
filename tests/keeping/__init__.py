"""Uploads and what is kept: files and their disguises, quotas, retention, erasure."""
