"""What workers tell each other over Redis."""
