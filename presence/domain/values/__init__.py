"""Single values: times, names, JSON, user data, and what each may be."""
