"""Uploaded files, and whether one is what its name says."""
