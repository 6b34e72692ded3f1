"""The state machine of a run, and the sentence that explains it. Pure."""
