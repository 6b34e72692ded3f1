"""Digests, desired against promoted, diffs, rollback targets. Pure."""
