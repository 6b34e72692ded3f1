"""Metrics and logs: what becomes of events. Nothing here is ever read back to decide anything."""
