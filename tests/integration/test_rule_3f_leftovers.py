"""Rule 3f: what is left of lost state after a person said go on."""

from pathlib import Path

from reconciler.model.identity import GVK
from reconciler.model.names import GROUP
from tests.integration.harness import Clone, config_map_app, running
from tests.integration.test_rule_3_state import lose, started_cluster

EXTRA = """\
          - apiVersion: v1
            kind: ConfigMap
            metadata: {name: extra}
"""


async def test_rule_3f_objects_that_the_new_spec_leaves_out_stay_and_are_lost_no_second_time(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    async with started_cluster() as cluster:
        async with running(clone, cluster=cluster) as daemon:
            clone.push({"web.yaml": config_map_app("web", "1") + EXTRA})
            await daemon.synced("web")
        await lose(cluster)
        clone.push({"web.yaml": config_map_app("web", "2")})
        async with running(clone, cluster=cluster) as daemon:
            gate = (await daemon.waiting("web")).gate
            assert gate is not None
            commit = clone.push({"web.yaml": config_map_app("web", "2", annotations={gate.key: gate.continue_})})
            await daemon.synced("web")
            assert commit
        async with running(clone, cluster=cluster) as daemon:
            await daemon.synced("web")
            await daemon.looked()
            assert "StateLost" not in daemon.conditions("web")
            await daemon.synced("web", clone.push({"web.yaml": config_map_app("web", "3")}))
            assert (await daemon.get("ConfigMap", "extra"))["metadata"]["name"] == "extra"
            runs = (await cluster.list(GVK(GROUP, "v1alpha1", "WorkflowRun"))).items
            assert [run["metadata"]["name"] for run in runs if "state-lost" in str(run["status"].get("implicit"))] == ["default.web-v1-1"]
