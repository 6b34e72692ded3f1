"""What a daemon needs on a control plane: its kinds, a namespace of its own, a repository."""

from tests.e2e.place import place

__all__ = ["place"]
