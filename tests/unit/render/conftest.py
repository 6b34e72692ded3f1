"""The real renderers, built where they are not yet."""

import pytest

from reconciler.render.sandbox import Sandbox
from scripts.renderers import build_all


@pytest.fixture(scope="session")
def renderers():
    """One sandbox over the modules of this checkout."""
    build_all()
    return Sandbox()
