"""The CustomResourceDefinitions of the daemon's state and of the manifest families, and how they come to a cluster."""
