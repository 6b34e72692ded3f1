"""Helm charts from chart repositories and registries: found, fetched, checked, and kept by digest."""
