"""The definitions that clusters are given: made of what is stored, fit for an API server, and brought only where nobody else's are."""

import copy
import re
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml

from reconciler.cluster.crds.families import oam_crds, stepflow_crds
from reconciler.cluster.crds.install import DefinitionError, compare, find_foreign, install, plan, prepare
from reconciler.cluster.crds.state import state_crds
from reconciler.cluster.crds.structural import PRESERVE, schema_of, to_yaml
from reconciler.cluster.embedded.schema import conform
from reconciler.cluster.protocol import ForbiddenError, KindUnknownError
from reconciler.model.identity import ObjectRef
from reconciler.model.names import ANNOTATION_SCHEMA, LABEL_CRD, STATE_VERSION

TOP = Path(__file__).parents[3]
FILES = {"reconciler.dev": state_crds(), "core.oam.dev": oam_crds(), "workflow.example.com": stepflow_crds()}
ALL = [crd for crds in FILES.values() for crd in crds]
NAMES = [crd["metadata"]["name"] for crd in ALL]


def schema(crd):
    return crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]


def nodes(part, path=""):
    """Every schema in a schema, with its path."""
    yield path, part
    for name, sub in part.get("properties", {}).items():
        yield from nodes(sub, f"{path}.{name}")
    for keyword in ("items", "additionalProperties"):
        if isinstance(part.get(keyword), dict):
            yield from nodes(part[keyword], f"{path}[]")


@pytest.mark.parametrize("group", FILES)
def test_the_files_are_what_the_package_makes(group):
    flag = {"reconciler.dev": "--crds", "core.oam.dev": "--oam", "workflow.example.com": "--stepflow"}[group]
    made = to_yaml(list(FILES[group]))
    assert (TOP / "manifests" / "crds" / f"{group}.yaml").read_text() == made, (
        f"run: python -m reconciler install {flag} --export > manifests/crds/{group}.yaml"
    )


@pytest.mark.parametrize("crd", ALL, ids=NAMES)
def test_every_schema_is_structural(crd):
    for path, part in nodes(schema(crd)):
        assert "type" in part or part.get(PRESERVE), f"{path}: says no type"
        assert not ("properties" in part and "additionalProperties" in part), path
        assert part.get("type") != "array" or "items" in part, path
        assert set(part.get("required", ())) <= set(part.get("properties", ())), path


@pytest.mark.parametrize("crd", ALL, ids=NAMES)
def test_every_column_shows_a_field_that_there_is(crd):
    for column in crd["spec"]["versions"][0]["additionalPrinterColumns"]:
        path = re.sub(r"\[\?\(.*?\)\]", "[]", column["jsonPath"])
        part: Any = schema(crd)
        for name in re.findall(r"(?:\\.|[^.\[\]])+|\[\]", path):
            if part.get(PRESERVE) or (name != "[]" and part is schema(crd)["properties"]["metadata"]):
                break
            part = part["items"] if name == "[]" else part["properties"][name]


def test_only_the_mirror_has_a_status_apart_and_all_are_kept_when_the_daemon_is_uninstalled():
    apart = {crd["spec"]["names"]["kind"] for crd in state_crds() if "subresources" in crd["spec"]["versions"][0]}
    assert apart == {"Application"}
    for crd in ALL:
        assert crd["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep"
        assert crd["spec"]["conversion"] == {"strategy": "None"}
        assert len(crd["spec"]["versions"]) == 1


def test_every_field_that_people_read_of_state_is_explained():
    for crd, columns in ((crd, crd["spec"]["versions"][0]["additionalPrinterColumns"]) for crd in state_crds()):
        for part in ("spec", "status"):
            told = schema(crd)["properties"].get(part, {})
            named = told.get("properties", {})
            for name, field in named.items():
                assert field.get("description"), f"{crd['metadata']['name']}: kubectl explain says nothing of {part}.{name}"
            shown = {found[1] for column in columns if (found := re.match(rf"\.{part}\.(\w+)", column["jsonPath"]))}
            listed = {line.partition(":")[0] for line in told.get("description", "").splitlines()}
            assert shown - {"path"} <= listed | named.keys(), f"{crd['metadata']['name']}: a column shows what nothing explains"


def test_what_the_daemon_alone_writes_is_one_field_to_a_server_and_few_names():
    for crd in state_crds():
        for part in ("spec", "status"):
            found = schema(crd)["properties"].get(part)
            if found is not None:
                assert found["x-kubernetes-map-type"] == "atomic"
                assert len(found.get("properties", {})) < 20, "a server goes through all of them for each that an object has"
                assert not any("properties" in below for _, below in nodes(found) if below is not found)


def test_all_that_is_stored_of_a_run_and_a_mirror_is_kept():
    for crd in state_crds():
        stored = schema(crd)["properties"]
        assert stored.get("status", stored["spec"])[PRESERVE]


def test_a_shape_that_a_server_would_not_keep_is_refused():
    class Bare(msgspec.Struct):
        at: datetime | None = None

    class Either(msgspec.Struct, omit_defaults=True):
        value: int | str = 0

    with pytest.raises(TypeError, match="null"):
        schema_of(Bare)
    with pytest.raises(TypeError, match="no structural schema"):
        schema_of(Either)


def documents(*folders):
    for folder in folders:
        for path in sorted((TOP / folder).rglob("*.yaml")):
            if path.parent.name == "templates":  # of a chart: no YAML yet
                continue
            for document in yaml.safe_load_all(path.read_text()):
                if isinstance(document, dict):
                    yield path, document


def test_families_accept_every_manifest_of_the_examples_as_it_stands():
    known = {(crd["spec"]["group"], crd["spec"]["versions"][0]["name"], crd["spec"]["names"]["kind"]): crd for crd in ALL}
    seen = set()
    for path, document in documents("examples"):
        group, _, version = str(document.get("apiVersion")).partition("/")
        crd = known.get((group, version, document.get("kind")))
        if crd is not None:
            given = msgspec.json.decode(msgspec.json.encode(document))
            kept = copy.deepcopy(given)
            conform(kept, schema(crd))
            assert kept == given, path
            seen.add(crd["metadata"]["name"])
    assert {"applications.core.oam.dev", "applicationconfigurations.core.oam.dev", "workflows.workflow.example.com"} <= seen


# Bringing them.


def live(crd, **meta):
    found = copy.deepcopy(crd)
    found["metadata"] |= meta
    return found


def test_a_definition_that_a_server_completed_is_the_same():
    found = live(state_crds()[0], uid="1", resourceVersion="7")
    found["spec"]["preserveUnknownFields"] = False
    found["spec"]["names"]["listKind"] = "ApplicationList"
    assert compare(state_crds()[0], found).standing == "same"


def test_rule_3g_an_older_definition_says_which_fields_the_server_would_drop():
    found = live(state_crds()[0])
    del schema(found)["properties"]["status"][PRESERVE]
    del schema(found)["properties"]["status"]["properties"]["step"]
    del schema(found)["properties"]["status"]["properties"]["inventory"]["items"][PRESERVE]
    told = compare(state_crds()[0], found)
    assert told.standing == "older"
    assert set(told.lacks) == {"status.*", "status.step", "status.inventory[].*"}
    assert told.sentence == "applications.reconciler.dev: older than this version: it lacks status.*, status.step, status.inventory[].*"


def test_a_definition_that_keeps_a_field_without_naming_it_lacks_nothing():
    found = live(state_crds()[0])
    for name in ("step", "history"):
        del schema(found)["properties"]["status"]["properties"][name]
    told = compare(state_crds()[0], found)
    assert (told.standing, told.lacks) == ("older", ())
    del schema(found)["properties"]["spec"]["properties"]["family"]
    assert compare(state_crds()[0], found).lacks == ("spec.family",)
    named = live(state_crds()[0])
    schema(named)["properties"]["status"]["properties"]["held"] = {"type": "string"}
    assert compare(state_crds()[0], named).standing == "older", "it names what this version does not"


def test_rule_3g_a_newer_definition_is_told_by_its_version_of_the_state():
    found = live(state_crds()[0])
    found["metadata"]["annotations"][ANNOTATION_SCHEMA] = str(STATE_VERSION + 1)
    assert compare(state_crds()[0], found).standing == "newer"
    found["metadata"]["annotations"][ANNOTATION_SCHEMA] = "of tomorrow"
    assert compare(state_crds()[0], found).standing == "newer"


@pytest.mark.parametrize(
    ("meta", "said"),
    [
        (
            {"annotations": {"meta.helm.sh/release-name": "kubevela", "meta.helm.sh/release-namespace": "vela-system"}},
            "the Helm release vela-system/kubevela",
        ),
        ({"labels": {"app.kubernetes.io/part-of": "vela\n"}}, r"of vela\n"),
        (
            {"managedFields": [{"manager": "helm"}, {"manager": "kubectl"}, {"manager": "kube-apiserver", "subresource": "status"}]},
            "made by helm, kubectl)",
        ),
        ({}, "nobody's name is on it"),
    ],
)
def test_rule_3a_a_foreign_definition_is_left_as_it_is_and_says_whose_it_is(meta, said):
    found = live(oam_crds()[0], labels={}, annotations={})
    found["metadata"] |= meta
    told = compare(oam_crds()[0], found)
    assert told.standing == "foreign"
    assert said in told.sentence


def ref(crd):
    return ObjectRef(crd["apiVersion"], crd["kind"], "", crd["metadata"]["name"])


async def test_definitions_are_brought_once_and_are_the_same_from_then_on(turned):
    brought = await install(turned.cluster, await plan(turned.cluster, ALL))
    assert brought == NAMES
    versions = [(await turned.cluster.get(ref(crd)))["metadata"]["resourceVersion"] for crd in ALL]
    again = await plan(turned.cluster, ALL)
    assert {found.standing for _, found in again} == {"same"}
    assert await install(turned.cluster, again) == []
    assert [(await turned.cluster.get(ref(crd)))["metadata"]["resourceVersion"] for crd in ALL] == versions


async def test_what_is_brought_can_be_asked_for_also_where_a_server_tells_of_it_later_than_it_is_established(turned, monkeypatch):
    monkeypatch.setattr("reconciler.cluster.crds.install._PAUSE", 0.01)
    kind, told = turned.cluster.kind, [KindUnknownError("not told of yet")] * 3

    async def tell_late(gvk):
        if told:
            raise told.pop()
        return await kind(gvk)

    monkeypatch.setattr(turned.cluster, "kind", tell_late)
    assert await install(turned.cluster, await plan(turned.cluster, ALL[:1])) == NAMES[:1]
    assert not told


async def test_rule_3a_what_is_foreign_is_told_and_never_written(turned):
    theirs = live(oam_crds()[0], labels={"app.kubernetes.io/part-of": "vela"})
    before = await turned.cluster.create(theirs)
    planned = await plan(turned.cluster, oam_crds())
    brought = await install(turned.cluster, planned)
    assert "applications.core.oam.dev" not in brought
    assert len(brought) == len(oam_crds()) - 1
    assert (await turned.cluster.get(ref(theirs)))["spec"] == before["spec"]
    [foreign] = await find_foreign(turned.cluster, [*oam_crds(), *stepflow_crds()])
    assert foreign.sentence == "applications.core.oam.dev: not ours (of vela): left as it is"


async def test_a_daemon_does_not_begin_without_its_kinds_and_says_the_command(turned):
    with pytest.raises(DefinitionError, match=r"applications.reconciler.dev: not there.*`reconciler install`"):
        await prepare(turned.cluster, state_crds(), bring=False)
    said = await prepare(turned.cluster, state_crds(), bring=True)
    assert said == [f"{crd['metadata']['name']}: installed" for crd in state_crds()]
    assert await prepare(turned.cluster, state_crds(), bring=False) == []


async def test_rule_3g_a_daemon_refuses_a_newer_definition_and_one_that_would_drop_state(turned):
    crd = live(state_crds()[0])
    crd["spec"]["versions"][0]["additionalPrinterColumns"] = []
    await turned.cluster.create(crd)
    for other in state_crds()[1:]:
        await turned.cluster.create(copy.deepcopy(other))
    [said] = await prepare(turned.cluster, state_crds(), bring=False)
    assert "`reconciler install` renews it" in said, "columns are no state: it may go on"
    stored = await turned.cluster.get(ref(crd))
    del schema(stored)["properties"]["status"][PRESERVE]
    stored = await turned.cluster.replace(stored)
    with pytest.raises(DefinitionError, match=r"lacks status\.\*"):
        await prepare(turned.cluster, state_crds(), bring=False)
    stored["metadata"]["annotations"][ANNOTATION_SCHEMA] = str(STATE_VERSION + 1)
    await turned.cluster.replace(stored)
    for bring in (False, True):
        with pytest.raises(DefinitionError, match="newer than this program's"):
            await prepare(turned.cluster, state_crds(), bring=bring)
    assert LABEL_CRD in stored["metadata"]["labels"]


async def test_who_may_not_read_definitions_goes_on_and_says_so(turned, monkeypatch):
    async def forbidden(self, ref):
        raise ForbiddenError("customresourcedefinitions is forbidden")

    monkeypatch.setattr(type(turned.cluster), "get", forbidden)
    [said] = await prepare(turned.cluster, state_crds(), bring=False)
    assert "customresourcedefinitions is forbidden" in said
    assert await find_foreign(turned.cluster, oam_crds()) == []
