"""Metrics, logs and streams: what the events feed."""
