"""Which files are accepted, what looks at them, and uploads that can be resumed."""
