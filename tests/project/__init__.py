"""What stands beside the server: dependencies and benchmarks."""
