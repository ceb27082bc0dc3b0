"""The database: migrations, its log of changes, its connections, and backups."""
