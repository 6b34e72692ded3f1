"""Making an object anew: a trial first, then the old one with all it owns, then the new one."""

import pytest

from reconciler.cluster.protocol import InvalidError, NotFoundError
from reconciler.engine.deletion import renew
from reconciler.model.identity import ObjectRef
from reconciler.model.names import LABEL_UID

REF = ObjectRef("batch/v1", "Job", "default", "migrate")
JOB = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "migrate", "namespace": "default"}, "spec": {}}


class SlowCluster:
    """One object that takes three looks to go; every call that changes something is written down."""

    def __init__(self, owner="app", refuses=False):
        self.live = {**JOB, "metadata": {**JOB["metadata"], "uid": "old", "resourceVersion": "5", "labels": {LABEL_UID: owner}}}
        self.calls, self.left, self.refuses = [], 3, refuses

    async def get(self, ref):
        if self.live["metadata"].get("deletionTimestamp"):
            self.left -= 1
        if not self.left:
            raise NotFoundError("gone")
        return self.live

    async def delete(self, ref, uid="", version="", propagation="Background"):
        self.calls.append(("delete", uid, version, propagation))
        self.live["metadata"]["deletionTimestamp"] = "now"

    async def apply(self, obj, manager, force=False, dry_run=False):
        self.calls.append(("try" if dry_run else "apply", obj["metadata"]["name"]))
        if self.refuses:
            raise InvalidError("spec.template: no")
        return obj


async def test_rule_1c_the_old_object_goes_by_its_uid_and_version_and_the_new_one_waits_until_it_is_gone(clock):
    cluster = SlowCluster()
    await renew(cluster, clock, REF, JOB, "old", "app")
    assert cluster.calls == [("try", "migrate-trial"), ("delete", "old", "5", "Foreground"), ("apply", "migrate")]
    assert clock.monotonic() > 0


async def test_rule_1_what_the_cluster_would_refuse_costs_the_old_object_nothing(clock):
    cluster = SlowCluster(refuses=True)
    with pytest.raises(InvalidError):
        await renew(cluster, clock, REF, JOB, "old", "app")
    assert cluster.calls == [("try", "migrate-trial")]


@pytest.mark.parametrize(("uid", "owner"), [("another", "app"), ("old", "another")])
async def test_rule_1c_nothing_is_deleted_that_is_another_object_or_anothers(clock, uid, owner):
    cluster = SlowCluster(owner)
    await renew(cluster, clock, REF, JOB, uid, "app")
    assert [call for call in cluster.calls if call[0] == "delete"] == []
