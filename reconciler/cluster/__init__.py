"""Clusters: the protocol, the embedded one, health and conditions of objects. The only importer of `kubernetes` and `sqlite3`."""
