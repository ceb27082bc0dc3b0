"""A cluster of one's own on this machine: PostgreSQL, Redis, nginx, S3 and workers, all private.

`script/cluster` runs it to try one, tests and benchmarks to have something to try. The server knows
nothing of it.
"""
