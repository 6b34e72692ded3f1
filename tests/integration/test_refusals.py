"""What becomes of the objects of an apply when the cluster refuses some of them (decision 10)."""

from __future__ import annotations

import asyncio
from pathlib import Path

from reconciler.cluster.protocol import ClusterError, ForbiddenError, InvalidError, UnavailableError
from reconciler.model.identity import JsonObject
from tests.integration.harness import Clone, running, virtual
from tests.integration.policies import application, component, config_map, message
from tests.integration.recorded import Refusal, recorded

MANY = [config_map(f"c{number:02}", "1") for number in range(50)]
WEB = application("web", [component("many", *MANY)], [])
THIRTIETH = "ConfigMap default/c30"


def refusing(error: ClusterError, *names: str, verbs: tuple[str, ...] = ("apply", "try")) -> Refusal:
    def refuse(verb: str, obj: JsonObject) -> ClusterError | None:
        return error if verb in verbs and obj["metadata"]["name"] in names else None

    return refuse


@virtual
async def test_one_forbidden_object_of_fifty_is_named_and_harms_nothing_and_is_tried_again_until_it_is_allowed(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    clone.push({"web.yaml": WEB})
    async with recorded() as cluster, running(clone, cluster=cluster) as daemon:
        error = ForbiddenError("may not create configmaps")
        cluster.refuse = refusing(error, "c30", verbs=("apply",))
        await daemon.until(lambda: f"{THIRTIETH}: may not create configmaps (30 of 50 objects were applied before it)" in message(daemon, "web"))
        assert cluster.of("apply")[:31] == [f"ConfigMap default/c{number:02}" for number in range(31)]
        assert cluster.of("try")[:19] == [f"ConfigMap default/c{number}" for number in range(31, 50)], "all that is refused is found at once"
        cluster.refuse = refusing(error, "c30")
        await daemon.until(lambda: f"{THIRTIETH}: may not create configmaps (nothing was written)" in message(daemon, "web"))
        cluster.calls.clear()
        before = (await daemon.get("ConfigMap", "c00"))["metadata"]["resourceVersion"]
        await daemon.until(lambda: len(cluster.of("try")) > 20, "it is tried again")
        assert cluster.of("apply") == [], "in doubt nothing is written before all may be"
        status = daemon.status("web")
        assert status is not None
        assert status.sync == "OutOfSync"
        cluster.refuse = None
        await daemon.synced("web")
        assert (await daemon.get("ConfigMap", "c00"))["metadata"]["resourceVersion"] == before, "what was applied before is not changed again"
        cluster.calls.clear()
        await daemon.synced("web", clone.push({"web.yaml": WEB.replace('"value": "1"', '"value": "2"')}))
        assert (len(cluster.of("apply")), cluster.of("try")) == (50, []), "there is no doubt any more (10a)"


@virtual
async def test_every_object_that_is_refused_is_named_at_once_and_the_run_ends(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    clone.push({"web.yaml": WEB})
    async with recorded() as cluster, running(clone, cluster=cluster) as daemon:
        cluster.refuse = refusing(InvalidError("data: too long"), "c00", "c10", "c20")
        await daemon.until(lambda: "Failed" in str(daemon.status("web")))
        said = message(daemon, "web")
        assert said.startswith(
            "ConfigMap default/c00: data: too long; ConfigMap default/c10: data: too long; ConfigMap default/c20: data: too long (nothing was written)"
        )
        assert len(cluster.of("apply")) == 1, "nothing that comes after it is written"


@virtual
async def test_a_webhook_that_times_out_tells_nothing_of_the_others_and_is_waited_for(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    clone.push({"web.yaml": WEB})
    async with recorded() as cluster, running(clone, cluster=cluster) as daemon:
        cluster.refuse = refusing(UnavailableError('failed calling webhook "check.example.org": context deadline exceeded'), "c05")
        await daemon.until(lambda: "check.example.org" in message(daemon, "web"))
        assert "ConfigMap default/c05" in message(daemon, "web")
        assert cluster.of("try") == []
        await asyncio.sleep(60)
        cluster.refuse = None
        await daemon.synced("web")
        assert cluster.of("try") == []


@virtual
async def test_what_a_dry_run_cannot_tell_is_no_refusal(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    clone.push({"web.yaml": WEB})
    async with recorded() as cluster, running(clone, cluster=cluster) as daemon:
        cluster.refuse = refusing(ForbiddenError("exceeded quota: small"), "c30")
        await daemon.until(lambda: "exceeded quota" in message(daemon, "web"))
        cluster.refuse = refusing(InvalidError('admission webhook "check" does not support dry run'), "c40", verbs=("try",))
        await daemon.synced("web")


@virtual
async def test_what_one_component_is_refused_harms_no_other(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    parts = [component("one", config_map("one", "1")), component("two", config_map("two", "1"))]
    clone.push({"web.yaml": application("web", parts, []), "api.yaml": application("api", [component("c", config_map("api", "1"))], [])})
    async with recorded() as cluster, running(clone, cluster=cluster) as daemon:
        cluster.refuse = refusing(ForbiddenError("may not"), "one")
        await daemon.until(lambda: "may not" in message(daemon, "web"))
        await daemon.synced("api")
        await daemon.until(lambda: "ConfigMap default/two" in cluster.of("apply"))
