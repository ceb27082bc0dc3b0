"""The OpenAPI and AsyncAPI documents against what a live server answers and sends."""
