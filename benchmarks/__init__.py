"""Measures this server against what people would pick instead: ``python -m benchmarks``."""
