"""Rule 13a with service accounts: every call for an application's objects is made in its account's name, and a manifest only picks within
what the operator allows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from reconciler.cluster.embedded.cluster import EmbeddedCluster
from reconciler.cluster.protocol import Cluster, ForbiddenError, NotFoundError
from reconciler.daemon import SystemClock
from reconciler.model.identity import JsonObject, ObjectRef
from reconciler.settings import Access
from tests.integration.harness import Clone, Daemon, config_map_app, running

DEPLOYER = "system:serviceaccount:a:deployer"
OWN = "the daemon"


class Guarded(EmbeddedCluster):
    """An embedded cluster that notes who asks what of objects outside the daemon's namespace, and refuses as an API server does what
    `refused` holds: (user, verb, kind)."""

    def __init__(self) -> None:
        super().__init__(":memory:", SystemClock(), speed=1000.0)
        self.calls: list[tuple[str, str, str]] = []
        self.refused: set[tuple[str, str, str]] = set()
        self.users: list[str] = []

    def acting_as(self, user: str) -> Cluster:
        super().acting_as(user)
        return Named(self, user)

    def note(self, user: str, verb: str, ref: ObjectRef) -> None:
        if ref.namespace == "reconciler-system" or ref.group == "reconciler.dev":
            return
        self.calls.append((user, verb, str(ref)))
        if (user, verb, ref.kind) in self.refused:
            plural = f"{ref.kind.lower()}s"
            raise ForbiddenError(
                f'{plural} "{ref.name}" is forbidden: User "{user}" cannot {verb} resource "{plural}" in API group "{ref.group}" '
                f'in the namespace "{ref.namespace}"'
            )

    async def get(self, ref: ObjectRef) -> JsonObject:
        self.note(OWN, "get", ref)
        return await super().get(ref)

    async def create(self, obj: JsonObject, manager: str = "reconciler") -> JsonObject:
        self.note(OWN, "create", ObjectRef.of(obj))
        return await super().create(obj, manager)

    async def replace(self, obj: JsonObject, manager: str = "reconciler") -> JsonObject:
        self.note(OWN, "update", ObjectRef.of(obj))
        return await super().replace(obj, manager)

    async def apply(self, obj: JsonObject, manager: str, force: bool = False, dry_run: bool = False) -> JsonObject:
        self.note(OWN, "patch", ObjectRef.of(obj))
        return await super().apply(obj, manager, force, dry_run)

    async def delete(self, ref: ObjectRef, uid: str = "", version: str = "", propagation: Any = "Background") -> None:
        self.note(OWN, "delete", ref)
        await super().delete(ref, uid, version, propagation)


class Named:
    """A guarded cluster in somebody's name."""

    def __init__(self, cluster: Guarded, user: str) -> None:
        self._cluster, self._user = cluster, user

    def __getattr__(self, name: str) -> Any:
        return getattr(self._cluster, name)

    async def get(self, ref: ObjectRef) -> JsonObject:
        self._cluster.note(self._user, "get", ref)
        return await EmbeddedCluster.get(self._cluster, ref)

    async def create(self, obj: JsonObject) -> JsonObject:
        self._cluster.note(self._user, "create", ObjectRef.of(obj))
        return await EmbeddedCluster.create(self._cluster, obj)

    async def replace(self, obj: JsonObject) -> JsonObject:
        self._cluster.note(self._user, "update", ObjectRef.of(obj))
        return await EmbeddedCluster.replace(self._cluster, obj)

    async def apply(self, obj: JsonObject, manager: str, force: bool = False, dry_run: bool = False) -> JsonObject:
        self._cluster.note(self._user, "patch", ObjectRef.of(obj))
        return await EmbeddedCluster.apply(self._cluster, obj, manager, force, dry_run)

    async def delete(self, ref: ObjectRef, uid: str = "", version: str = "", propagation: Any = "Background") -> None:
        self._cluster.note(self._user, "delete", ref)
        await EmbeddedCluster.delete(self._cluster, ref, uid, version, propagation)


@pytest.fixture
async def cluster() -> Any:
    guarded = Guarded()
    await guarded.start()
    yield guarded
    await guarded.close()


def objects(name: str, *names: str, annotations: dict[str, str] | None = None) -> str:
    """An application in namespace `a` of one ConfigMap for each name."""
    text = config_map_app(name, "1", namespace="a", annotations=annotations)
    lines = [f"          - {{apiVersion: v1, kind: ConfigMap, metadata: {{name: {each}}}, data: {{a: b}}}}" for each in names]
    return "\n".join([text[: text.index("          - apiVersion")].rstrip("\n"), *lines]) + "\n"


def users(cluster: Guarded, name: str) -> set[str]:
    """Who asked anything about that object."""
    return {user for user, _, ref in cluster.calls if ref.endswith(f"/{name}")}


def verbs(cluster: Guarded, name: str) -> set[str]:
    return {verb for _, verb, ref in cluster.calls if ref.endswith(f"/{name}")}


async def gone(daemon: Daemon, name: str) -> None:
    async def absent() -> bool:
        try:
            await EmbeddedCluster.get(daemon.cluster, ObjectRef("v1", "ConfigMap", "a", name))
        except NotFoundError:
            return True
        return False

    for _ in range(500):
        if await absent():
            return
        await daemon.looked()
    raise AssertionError(f"{name} is still there")


TENANT = (Access(path="teams/a", namespaces=["a"], service_account="deployer", service_accounts=["reader", "tools:*"]),)


async def test_rule_13a_applying_healing_pruning_and_deleting_are_done_in_the_accounts_name_alone(tmp_path: Path, cluster: Guarded) -> None:
    clone = Clone(tmp_path)
    clone.push({"teams/a/web.yaml": objects("web", "one", "two", "three"), "teams/a/other.yaml": objects("other", "four")})
    async with running(clone, cluster=cluster, rules=TENANT) as daemon:
        await daemon.synced("web", namespace="a")
        live = await EmbeddedCluster.get(cluster, ObjectRef("v1", "ConfigMap", "a", "one"))
        await EmbeddedCluster.replace(cluster, {**live, "data": {"a": "by hand"}}, manager="kubectl-edit")
        await daemon.until(lambda: any(event.kind == "drift-healed" for event in daemon.sink.events), "healed")
        await daemon.synced("web", clone.push({"teams/a/web.yaml": objects("web", "one", "two")}), "a")
        await gone(daemon, "three")
        clone.push({"teams/a/web.yaml": None})
        await gone(daemon, "one")
        await gone(daemon, "two")
    for name in ("one", "two", "three"):
        assert users(cluster, name) == {DEPLOYER}, cluster.calls
        assert verbs(cluster, name) >= {"get", "patch", "delete"}
    assert DEPLOYER in {user for user, verb, ref in cluster.calls if (verb, ref) == ("create", "Namespace a")}


@pytest.mark.parametrize("annotation", ["app.oam.dev/service-account-name", "reconciler.dev/service-account"])
async def test_rule_13a_a_manifest_picks_an_account_and_is_deleted_in_its_name_by_the_next_daemon_too(
    tmp_path: Path, cluster: Guarded, annotation: str
) -> None:
    clone = Clone(tmp_path)
    clone.push({"web.yaml": objects("web", "one", annotations={annotation: "deployer"}), "other.yaml": objects("other", "two")})
    async with running(clone, cluster=cluster) as daemon:
        await daemon.synced("web", namespace="a")
        await daemon.synced("other", namespace="a")
    clone.push({"web.yaml": None})
    async with running(clone, cluster=cluster) as daemon:
        await gone(daemon, "one")
    assert users(cluster, "one") == {DEPLOYER}
    assert users(cluster, "two") == {OWN}


async def test_rule_13a_who_changes_the_account_is_applied_and_pruned_in_the_new_name(tmp_path: Path, cluster: Guarded) -> None:
    clone, annotation = Clone(tmp_path), "reconciler.dev/service-account"
    clone.push({"teams/a/web.yaml": objects("web", "one", "two")})
    async with running(clone, cluster=cluster, rules=TENANT) as daemon:
        await daemon.synced("web", namespace="a")
        cluster.calls.clear()
        await daemon.synced("web", clone.push({"teams/a/web.yaml": objects("web", "one", annotations={annotation: "tools:ci"})}), "a")
        await gone(daemon, "two")
    assert users(cluster, "two") == {"system:serviceaccount:tools:ci"}


async def test_rule_13a_what_an_account_may_not_is_told_with_account_right_namespace_and_the_command_that_shows_it(
    tmp_path: Path, cluster: Guarded
) -> None:
    clone = Clone(tmp_path)
    clone.push({"teams/a/web.yaml": objects("web", "one"), "teams/a/good.yaml": config_map_app("good", "1", namespace="a")})
    cluster.refused = {(DEPLOYER, "patch", "ConfigMap")}
    async with running(clone, cluster=cluster, rules=TENANT) as daemon:

        def told() -> str:
            status = daemon.status("web", "a")
            return next((step.message for step in status.run.steps if "may not" in step.message), "") if status and status.run else ""

        message = await daemon.until(told, "refused")
        assert "service account a:deployer may not patch configmaps in namespace a" in message
        assert f"kubectl auth can-i patch configmaps --namespace a --as {DEPLOYER}" in message
        cluster.refused = set()
        await daemon.synced("web", namespace="a")


PICKS = {
    "one that the rule does not name": ({"reconciler.dev/service-account": "admin"}, "may not act as service account a:admin"),
    "one of another namespace": ({"reconciler.dev/service-account": "b:reader"}, "may not act as service account b:reader"),
    "one of the cluster's": ({"reconciler.dev/service-account": "kube-system:admin"}, "may not act as service account kube-system:admin"),
    "no name": ({"app.oam.dev/service-account-name": "../x"}, "names no service account"),
    "no account, but a user": ({"reconciler.dev/service-account": "system:masters"}, "may not act as service account system:masters"),
    "more than a name": ({"reconciler.dev/service-account": "system:serviceaccount:kube-system:admin"}, "names no service account"),
    "two": (
        {"reconciler.dev/service-account": "reader", "app.oam.dev/service-account-name": "deployer"},
        "name two service accounts: a:reader and a:deployer",
    ),
}


@pytest.mark.parametrize("what", PICKS)
async def test_rule_13a_an_account_that_a_manifest_may_not_pick_is_an_error_at_its_line(tmp_path: Path, cluster: Guarded, what: str) -> None:
    annotations, sentence = PICKS[what]
    clone = Clone(tmp_path)
    clone.push({"teams/a/web.yaml": objects("web", "one", annotations=annotations)})
    async with running(clone, cluster=cluster, rules=TENANT) as daemon:
        problem = (await daemon.until(daemon.engine.reader.problems))[0]
        assert sentence in problem["message"]
        assert (problem["path"], problem["line"]) == ("teams/a/web.yaml", 7)
        assert problem["field"].startswith("metadata.annotations")
        assert cluster.calls == []


async def test_rule_13a_without_a_mapping_an_account_is_of_the_applications_own_namespace(tmp_path: Path, cluster: Guarded) -> None:
    clone = Clone(tmp_path)
    clone.push({"web.yaml": objects("web", "one", annotations={"reconciler.dev/service-account": "b:deployer"})})
    async with running(clone, cluster=cluster) as daemon:
        [problem] = await daemon.until(daemon.engine.reader.problems)
        assert "service account b:deployer is not of the application's own namespace a" in problem["message"]
        assert cluster.calls == []


async def test_rule_13a_an_account_that_is_allowed_no_more_touches_nothing(tmp_path: Path, cluster: Guarded) -> None:
    clone = Clone(tmp_path)
    clone.push({"teams/a/web.yaml": objects("web", "one", annotations={"reconciler.dev/service-account": "reader"})})
    async with running(clone, cluster=cluster, rules=TENANT) as daemon:
        await daemon.synced("web", namespace="a")
    clone.push({"teams/a/web.yaml": None, "teams/a/other.yaml": objects("other", "two")})
    cluster.calls.clear()
    async with running(clone, cluster=cluster, rules=(Access(path="teams/a", namespaces=["a"], service_account="deployer"),)) as daemon:
        await daemon.synced("other", namespace="a")
        await daemon.until(lambda: "PruneFailed" in daemon.conditions("web", "a") or "may not act" in str(daemon.conditions("web", "a")))
    assert users(cluster, "one") == set()
    assert await EmbeddedCluster.get(cluster, ObjectRef("v1", "ConfigMap", "a", "one"))


async def test_rule_13a_a_name_taken_below_a_path_that_may_not_have_it_harms_nobody(tmp_path: Path, cluster: Guarded) -> None:
    rules = (*TENANT, Access(path="teams/b", namespaces=["b"]))
    clone = Clone(tmp_path)
    clone.push({"teams/a/web.yaml": objects("web", "one"), "teams/b/web.yaml": objects("web", "evil")})
    async with running(clone, cluster=cluster, rules=rules) as daemon:
        await daemon.synced("web", namespace="a")
        [problem] = daemon.engine.reader.problems()
        assert (problem["path"], problem["field"]) == ("teams/b/web.yaml", "metadata.namespace")
        assert verbs(cluster, "evil") == set()


async def test_rule_13a_no_application_is_waited_for_across_namespaces_unless_the_operator_says_so(tmp_path: Path, cluster: Guarded) -> None:
    rules = (Access(path="x", namespaces=["a"]), Access(path="y", namespaces=["a"], references=["b"]))
    waits = {"reconciler.dev/depends-on": "b/base"}
    clone = Clone(tmp_path)
    clone.push({"x/one.yaml": objects("one", "one", annotations=waits), "y/two.yaml": objects("two", "two", annotations=waits)})
    async with running(clone, cluster=cluster, rules=rules) as daemon:
        await daemon.until(lambda: daemon.status("two", "a"))
        [problem] = daemon.engine.reader.problems()
        assert problem["path"] == "x/one.yaml"
        assert "may not refer to namespace b; the operator allows it by `references`" in problem["message"]


async def test_rule_13a_a_mapping_made_narrower_is_heard_by_a_daemon_that_recalls_what_it_read(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    clone.push({f"teams/a/{name}.yaml": config_map_app(name, "1") for name in ("web", "two")})
    state = str(tmp_path / "state.db")
    async with running(clone, state, rules=(Access(path="teams/a"),)) as daemon:
        await daemon.synced("web")
        await daemon.looked()
    async with running(clone, state, rules=(Access(path="teams/a", namespaces=["a"]),)) as daemon:
        problems = await daemon.until(daemon.engine.reader.problems)
        assert {problem["path"] for problem in problems} == {"teams/a/web.yaml", "teams/a/two.yaml"}
