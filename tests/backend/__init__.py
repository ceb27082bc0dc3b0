"""Backends are told what happens: webhooks, and events to be fetched."""
