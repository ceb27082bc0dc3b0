"""The REST routes, uploads, health and metrics, and the documents that describe the API."""
