"""The REST routes, uploads, health and metrics."""
