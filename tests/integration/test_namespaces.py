"""`--create-namespaces all|asked|none` through the whole engine, and going on by itself once the namespace is there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.integration.harness import Clone, Daemon, config_map_app, running

ASKS = {"reconciler.dev/create-namespace": "true"}


async def namespaces(daemon: Daemon) -> set[str]:
    return {item["metadata"]["name"] for item in await daemon.engine.reader.objects("namespace", "", "")}


async def create(daemon: Daemon, name: str) -> None:
    await daemon.cluster.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})


async def missing(daemon: Daemon, name: str) -> str:
    """Waits for the condition; answers its message."""
    await daemon.until(lambda: "NamespaceMissing" in daemon.conditions(name, name), f"{name} misses its namespace")
    assert name not in await namespaces(daemon)
    return daemon.conditions(name, name)["NamespaceMissing"]


@pytest.mark.parametrize(("policy", "annotations"), [("all", None), ("all", ASKS), ("asked", ASKS)])
async def test_a_missing_namespace_is_created(tmp_path: Path, policy: str, annotations: dict[str, str] | None) -> None:
    clone = Clone(tmp_path)
    clone.push({"web.yaml": config_map_app("web", "1", namespace="web", annotations=annotations)})
    async with running(clone, create_namespaces=policy) as daemon:
        await daemon.synced("web", namespace="web")
        assert "web" in await namespaces(daemon)
        assert "NamespaceMissing" not in daemon.conditions("web", "web")


@pytest.mark.parametrize(
    ("policy", "annotations"),
    [
        ("none", None),
        ("none", ASKS),
        ("asked", None),
        ("asked", {"reconciler.dev/create-namespace": "false"}),
        ("asked", {"reconciler.dev/create-namespace": "yes"}),
    ],
)
async def test_a_missing_namespace_is_a_condition_and_the_run_goes_on_by_itself_once_it_is_there(
    tmp_path: Path, policy: str, annotations: dict[str, str] | None
) -> None:
    clone = Clone(tmp_path)
    clone.push({"web.yaml": config_map_app("web", "1", namespace="web", annotations=annotations), "other.yaml": config_map_app("other", "1")})
    async with running(clone, create_namespaces=policy) as daemon:
        message = await missing(daemon, "web")
        assert "web" in message
        assert "--create-namespaces" in message
        await daemon.synced("other")
        await create(daemon, "web")
        status = await daemon.synced("web", namespace="web")
        assert "NamespaceMissing" not in daemon.conditions("web", "web")
        assert status.running is not None
        assert status.running.revision == "web-v1", "no second run was needed"


async def test_an_application_that_asks_later_gets_its_namespace_without_a_new_revision(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    clone.push({"web.yaml": config_map_app("web", "1", namespace="web")})
    async with running(clone, create_namespaces="asked") as daemon:
        await missing(daemon, "web")
        clone.push({"web.yaml": config_map_app("web", "1", namespace="web", annotations=ASKS)})
        status = await daemon.synced("web", namespace="web")
        assert status.running is not None
        assert status.running.revision == "web-v1"


async def test_one_application_that_asks_does_not_ask_for_another(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    clone.push(
        {
            "web.yaml": config_map_app("web", "1", namespace="web", annotations=ASKS),
            "quiet.yaml": config_map_app("quiet", "1", namespace="quiet"),
        }
    )
    async with running(clone, create_namespaces="asked") as daemon:
        await daemon.synced("web", namespace="web")
        await missing(daemon, "quiet")
        assert "web" in await namespaces(daemon)


async def test_an_open_run_waits_for_its_namespace_over_a_restart(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    state = str(tmp_path / "state.db")
    clone.push({"web.yaml": config_map_app("web", "1", namespace="web")})
    async with running(clone, state, create_namespaces="none") as daemon:
        await missing(daemon, "web")
    async with running(clone, state, create_namespaces="none") as daemon:
        await missing(daemon, "web")
        await create(daemon, "web")
        await daemon.synced("web", namespace="web")


async def test_rule_13a_no_policy_creates_a_namespace_that_the_application_may_not_use(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    clone.push({"web.yaml": config_map_app("web", "1", namespace="kube-extra", annotations=ASKS)})
    async with running(clone, create_namespaces="all") as daemon:
        await daemon.until(daemon.engine.reader.problems)
        assert "kube-extra" not in await namespaces(daemon)


async def test_a_namespace_that_was_created_outlives_its_application(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    clone.push({"web.yaml": config_map_app("web", "1", namespace="web"), **{f"{n}.yaml": config_map_app(f"a{n}", "1") for n in range(5)}})
    async with running(clone) as daemon:
        await daemon.synced("web", namespace="web")
        clone.push({"web.yaml": None})
        await daemon.until(lambda: daemon.status("web", "web") is None, "web removed")
        objects: list[dict[str, Any]] = await daemon.engine.reader.objects("configmap", "web", "")
        assert [item["metadata"]["name"] for item in objects] == []
        assert "web" in await namespaces(daemon)
