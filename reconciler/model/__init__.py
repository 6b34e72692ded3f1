"""
What everything else is about: plain values, no I/O, no clock, no randomness.

Nothing here imports another room of the package. State values are `msgspec.Struct`s, so that
what is stored and what is held in memory are one definition.
"""
