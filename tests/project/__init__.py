"""What stands beside the server: documents, dependencies and benchmarks."""
