"""The examples of charts and overlays run on the embedded cluster as their README says."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.integration.harness import Clone, running

pytestmark = pytest.mark.usefixtures("compiled")

EXAMPLES = Path(__file__).parents[2] / "examples" / "rendering"


@pytest.mark.timeout(600)  # the first of them on a machine compiles the modules
async def test_the_examples_of_charts_and_overlays_run_to_success_and_a_changed_value_is_a_new_version(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    clone.push({str(path.relative_to(EXAMPLES)): path.read_text() for path in EXAMPLES.rglob("*") if path.is_file()})
    async with running(clone) as daemon:
        await daemon.synced("orders", namespace="shop")
        await daemon.synced("pages", namespace="shop")
        orders = await daemon.get("Deployment", "orders", "shop", api_version="apps/v1")
        migration = await daemon.get("Job", "orders-migration", "shop", api_version="batch/v1")
        pages = await daemon.get("Deployment", "pages-web", "shop", api_version="apps/v1")
        assert orders["spec"]["template"]["spec"]["containers"][0]["image"] == migration["spec"]["template"]["spec"]["containers"][0]["image"]
        assert migration["status"]["completionTime"] <= orders["metadata"]["creationTimestamp"]
        assert (orders["status"]["readyReplicas"], pages["status"]["readyReplicas"]) == (2, 3)
        [volume] = pages["spec"]["template"]["spec"]["volumes"]
        page = await daemon.get("ConfigMap", volume["configMap"]["name"], "shop")
        assert page["data"] == {"index.html": (EXAMPLES / "pages" / "base" / "index.html").read_text()}
        commit = clone.push({"orders/orders.yaml": clone.read("orders/orders.yaml").replace('"1.27"', '"1.28"')})
        await daemon.synced("orders", commit, "shop")
        again = await daemon.get("Job", "orders-migration", "shop", api_version="batch/v1")
        assert again["metadata"]["uid"] != migration["metadata"]["uid"]
        assert again["spec"]["template"]["spec"]["containers"][0]["image"] == "nginx:1.28"
