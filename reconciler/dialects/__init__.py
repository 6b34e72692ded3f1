"""Manifest families to the model, and the model back to each family's words. Pure."""
