"""The seeds' own manifests on a real control plane: a partition to its gate, on to all pods or back, and a workflow of two components."""

import re
from pathlib import Path

import pytest

from tests.e2e.place import Place
from tests.integration.process import Process
from tests.integration.test_sreworks import APP, WORKLOAD, decided, launch

EXAMPLES = Path(__file__).resolve().parents[2] / "examples" / "repo"


def images(place: Place) -> list[str]:
    """The tags of the workload's pods that are ready, by ordinal."""
    found: dict[int, str] = {}
    for pod in place.plane.api("GET", place.path("v1", "pods"))["items"]:
        ordinal = re.fullmatch(rf"{WORKLOAD}-(\d+)", pod["metadata"]["name"])
        ready = any(each["type"] == "Ready" and each["status"] == "True" for each in pod.get("status", {}).get("conditions") or [])
        if ordinal and ready:
            found[int(ordinal[1])] = pod["spec"]["containers"][0]["image"].rpartition(":")[2]
    return [found[ordinal] for ordinal in sorted(found)]


def waits(daemon: Process, revision: str) -> dict[str, str]:
    """The gate that the run of that revision waits at."""
    found: dict[str, str] = daemon.until(APP, lambda status: status["gate"] and status["run"]["revision"] == revision, f"{revision} at its gate")[
        "gate"
    ]
    return found


def push(place: Place, text: str) -> None:
    """The manifest as an application of this place alone: others run the same one at the same time."""
    named = text.replace("  name: deploy-workflow\n", f"  name: deploy-workflow\n  namespace: {place.namespace}\n")
    place.clone.push({"app.yaml": named.replace("abm-daily", place.namespace)})


@pytest.mark.parametrize("decision", ["continue", "rollback"])
def test_a_partition_waits_at_its_gate_and_goes_on_to_all_pods_or_back_to_the_old_ones(place: Place, decision: str):
    push(place, launch())
    with place.daemon() as daemon:
        gate = waits(daemon.ready(), f"{APP}-v1")
        push(place, decided("latest", **{gate["key"]: gate["continue"]}))
        daemon.until(APP, lambda status: status["sync"] == "Synced", "the first revision is promoted")
        assert images(place) == ["latest"] * 3
        push(place, launch("1.27"))
        gate = waits(daemon, f"{APP}-v2")
        assert images(place) == ["latest", "1.27", "1.27"]
        push(place, decided("1.27", **{gate["key"]: gate[decision]}))
        if decision == "continue":
            daemon.until(APP, lambda status: status["sync"] == "Synced" and status["running"]["revision"] == f"{APP}-v2", "promoted")
            assert images(place) == ["1.27"] * 3
        else:
            daemon.wait_for(lambda: images(place) == ["latest"] * 3, "the old pods are back")
            daemon.until(APP, lambda status: status["running"]["revision"] == f"{APP}-v1" and status["sync"] == "Synced", "git says so too")
            place.clone.pull()
            assert 'tag: "latest"' in place.clone.read("app.yaml")


def test_the_shop_of_the_examples_connects_its_two_components_over_a_gate(place: Place):
    text = (EXAMPLES / "shop" / "shop.yaml").read_text().replace("namespace: shop", f"namespace: {place.namespace}")
    place.clone.push({"shop.yaml": text})
    with place.daemon() as daemon:
        gate = daemon.ready().until("shop", lambda status: status["gate"], "the database is up")["gate"]
        assert place.object("apps/v1", "deployments", "web") is None
        note = f'  annotations:\n    {gate["key"]}: "{gate["continue"]}"\nspec:\n'
        place.clone.push({"shop.yaml": text.replace("spec:\n", note, 1)})
        daemon.until("shop", lambda status: status["sync"] == "Synced" and status["health"] == "Healthy", "all of it runs")
    web = place.object("apps/v1", "deployments", "web")
    variables = {each["name"]: each.get("value", "") for each in web["spec"]["template"]["spec"]["containers"][0]["env"]}
    assert variables["DATABASE_HOST"].startswith("database")
    assert variables["DATABASE_PORT"] == "3306"
