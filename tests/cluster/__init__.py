"""Several workers on PostgreSQL, Redis and S3 behind nginx, and what is in deploy/."""
