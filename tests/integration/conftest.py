"""Every state object that a test's daemon writes is held against the schemas that real clusters are given."""

import copy

import pytest

from reconciler.cluster.crds.state import state_crds
from reconciler.cluster.embedded.objects import Objects
from reconciler.cluster.embedded.schema import conform
from reconciler.model.names import API_VERSION

SCHEMAS = {crd["spec"]["names"]["kind"]: crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"] for crd in state_crds()}


def check(obj):
    """Refused where the schema refuses it, and where an API server would drop a field of it or take two conditions for one."""
    if obj.get("apiVersion") != API_VERSION:
        return
    kept = copy.deepcopy(obj)
    conform(kept, SCHEMAS[obj["kind"]])
    assert kept == obj, "the schema lacks what is stored: state would be lost"
    types = [condition["type"] for condition in (obj.get("status") or {}).get("conditions", [])]
    assert len(types) == len(set(types)), types


@pytest.fixture(autouse=True)
def conforming(monkeypatch):
    """A write that does not fit fails, and with it what the test waits for."""
    store = Objects._store

    def checked(self, kind, key, obj, live):
        check(obj)
        return store(self, kind, key, obj, live)

    monkeypatch.setattr(Objects, "_store", checked)
