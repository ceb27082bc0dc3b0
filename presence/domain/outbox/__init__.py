"""What happens in rooms, for backends: written down, put in order, handed over, forgotten."""
