"""What an operator types: ``flask token``, ``flask sweep``, ``flask move-database``."""
