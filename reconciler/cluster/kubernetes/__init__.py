"""A real cluster: the protocol over an API server, raw JSON on the transport of `kubernetes.aio`. Imported only where it is used."""
