"""A GitOps reconciler: a push deploys, a commit promotes or rolls back."""

__version__ = "0.1.0"
