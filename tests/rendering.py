"""Fixtures: the real renderers, built where they are not yet."""

from __future__ import annotations

import pytest

from reconciler.render import precompiled
from reconciler.render.sandbox import Sandbox, shared
from scripts.renderers import build_all


@pytest.fixture(scope="session")
def renderers() -> Sandbox:
    """The sandbox that everybody renders in, over the modules of this checkout."""
    build_all()
    return shared()


@pytest.fixture(scope="session")
def compiled(renderers: Sandbox) -> Sandbox:
    """The same, compiled for this machine: whoever starts a daemon does not wait for that as well."""
    precompiled.main([])
    return renderers
