"""The API: what the engine knows, as JSON over HTTP, the hint to look again, and commands by token. Whatever else changes is a commit."""
