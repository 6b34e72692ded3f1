"""Revisions: digest, desired against promoted, diff, rollback target. Pure."""
