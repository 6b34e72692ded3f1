"""The read API: what the engine knows, as JSON over HTTP. It changes nothing: every change is a commit."""
