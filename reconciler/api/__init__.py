"""The read API, health endpoints and metrics over HTTP, on loopback by default."""
