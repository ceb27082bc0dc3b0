"""Hostile and careless clients: floods, broken frames, forged addresses, slow connections."""
