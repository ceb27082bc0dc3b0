"""Proxies of other people, before one server and before a cluster."""
