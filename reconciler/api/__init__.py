"""The API: what the engine knows, as JSON over HTTP, and the hint to look again. It changes nothing: every change is a commit."""
