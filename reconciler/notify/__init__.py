"""Leaving the machine: HTTP requests that go only where the operator lets them (rule 13b)."""
