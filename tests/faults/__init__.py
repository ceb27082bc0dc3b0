"""Crashes, cut cables, locked databases, clients that freeze: what is kept, who notices."""
