"""
For the tests of who writes plug-ins: one call of a class, or whole workflows with them, on a simulated cluster and a clock that the test turns.

docs/plugins.md has a worked example. Everything is plain functions and `with`: the tests need no event loop and no daemon.
"""

from reconciler.testing.bench import Bench
from reconciler.testing.calls import Call, call_step
from reconciler.testing.crashing import Died

__all__ = ["Bench", "Call", "Died", "call_step"]
