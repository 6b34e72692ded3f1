"""A real Prometheus and promtool; where they can't be had, what needs them fails with a sentence that says what to install."""

import pytest

from tests.integration.prometheus.binaries import Binaries, MissingError, find


@pytest.fixture(scope="session")
def binaries() -> Binaries:
    try:
        return find()
    except MissingError as error:
        pytest.fail(str(error), pytrace=False)
