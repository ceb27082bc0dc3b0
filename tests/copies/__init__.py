"""Everything at once: moved to another database, backed up and restored."""
