"""The documents that describe the API to programs: OpenAPI and AsyncAPI."""
