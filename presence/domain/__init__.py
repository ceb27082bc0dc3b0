"""What the server decides: plain functions that take a database session and know no Flask."""
