"""Frames and streams, without a server around them."""
