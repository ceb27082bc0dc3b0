"""What an operator types, such as ``flask token``, ``flask sweep`` and ``flask backup``."""
