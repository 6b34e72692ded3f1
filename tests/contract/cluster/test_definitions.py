"""CustomResourceDefinitions."""

import re
import uuid

import pytest

from reconciler.cluster.protocol import InvalidError, KindUnknownError, fields_of
from reconciler.model.identity import GVK, ObjectRef

SCHEMA = {
    "type": "object",
    "properties": {
        "spec": {
            "type": "object",
            "required": ["size"],
            "properties": {
                "size": {"type": "integer", "minimum": 1, "maximum": 9},
                "color": {"type": "string", "enum": ["red", "green"], "default": "green"},
                "code": {"type": "string", "pattern": "^[a-z]+(-[a-z]+)*$", "maxLength": 10},
                "share": {"x-kubernetes-int-or-string": True},
                "maybe": {"type": "string", "nullable": True},
                "words": {"type": "object", "additionalProperties": {"type": "string"}},
                "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
                "parts": {
                    "type": "array",
                    "x-kubernetes-list-type": "map",
                    "x-kubernetes-list-map-keys": ["id"],
                    "items": {"type": "object", "required": ["id"], "properties": {"id": {"type": "string"}, "n": {"type": "integer"}}},
                },
            },
        },
        "status": {"type": "object", "properties": {"phase": {"type": "string"}}},
    },
}


@pytest.fixture
async def widget(cluster, namespace, eventually):
    """A new kind; answers a function that makes one of it."""
    group = f"g{uuid.uuid4().hex[:8]}.example.com"
    names = {"plural": "widgets", "kind": "Widget"}
    versions = [
        {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": SCHEMA}, "subresources": {"status": {}}},
        {"name": "v2", "served": True, "storage": False, "schema": {"openAPIV3Schema": SCHEMA}, "subresources": {"status": {}}},
    ]
    await cluster.create(
        {
            "apiVersion": "apiextensions.k8s.io/v1",
            "kind": "CustomResourceDefinition",
            "metadata": {"name": f"widgets.{group}"},
            "spec": {"group": group, "scope": "Namespaced", "names": names, "versions": versions},
        }
    )

    async def served():
        try:
            return await cluster.kind(GVK(group, "v1", "Widget"))
        except KindUnknownError:
            return None

    await eventually(served)
    return lambda **spec: {"apiVersion": f"{group}/v1", "kind": "Widget", "metadata": {"name": "one", "namespace": namespace}, "spec": spec}


async def test_a_defined_kind_is_served_with_defaults_and_without_unknown_fields(cluster, widget):
    made = await cluster.create(widget(size=1, unknown="x", free={"any": {"thing": 1}}, words={"a": "b"}))
    assert made["spec"] == {"size": 1, "color": "green", "free": {"any": {"thing": 1}}, "words": {"a": "b"}}
    assert made["metadata"]["generation"] == 1


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("size", 0),
        ("size", 10),
        ("size", "1"),
        ("size", True),
        ("color", "blue"),
        ("code", "Upper"),
        ("code", "a" * 11),
        ("share", []),
        ("words", {"a": 1}),
        ("parts", [{"n": 1}]),
        ("parts", {}),
    ],
)
async def test_a_value_against_the_schema_is_refused_with_its_field(cluster, widget, field, value):
    with pytest.raises(InvalidError, match=field):
        await cluster.create(widget(**{"size": 1, field: value}))


async def test_a_required_field_is_required(cluster, widget):
    with pytest.raises(InvalidError, match="size"):
        await cluster.create(widget(color="red"))


async def test_values_that_fit_the_schema_are_taken(cluster, widget):
    given = {"size": 9, "color": "red", "code": "ab-cd", "share": "25%", "maybe": None, "parts": [{"id": "a", "n": 1}]}
    assert (await cluster.create(widget(**given)))["spec"] == given


async def test_the_status_subresource_is_apart(cluster, widget):
    made = await cluster.create({**widget(size=1), "status": {"phase": "Ready"}})
    assert "status" not in made
    made["status"] = {"phase": "Ready"}
    made["spec"]["size"] = 5
    stored = await cluster.replace_status(made)
    assert (stored["spec"]["size"], stored["status"], stored["metadata"]["generation"]) == (1, {"phase": "Ready"}, 1)


async def test_every_served_version_reads_the_same_object(cluster, widget):
    made = await cluster.create(widget(size=1))
    other = ObjectRef.of(made)._replace(api_version=made["apiVersion"].replace("/v1", "/v2"))
    read = await cluster.get(other)
    assert (read["apiVersion"], read["spec"]) == (other.api_version, made["spec"])


async def test_keyed_lists_of_a_custom_kind_merge(cluster, widget):
    await cluster.apply(widget(size=1, parts=[{"id": "a", "n": 1}]), "team")
    theirs = widget(parts=[{"id": "b", "n": 2}])
    both = await cluster.apply(theirs, "other")
    assert both["spec"]["parts"] == [{"id": "a", "n": 1}, {"id": "b", "n": 2}]
    assert fields_of(both, "other") == {"f:spec": {"f:parts": {'k:{"id":"b"}': {".": {}, "f:id": {}, "f:n": {}}}}}


async def test_a_deleted_definition_takes_its_objects_and_its_kind_along(cluster, widget, eventually, absent):
    made = await cluster.create(widget(size=1))
    group = GVK.of(made).group
    ref = ObjectRef("apiextensions.k8s.io/v1", "CustomResourceDefinition", "", f"widgets.{group}")
    await cluster.delete(ref)
    await eventually(lambda: absent(ref))

    async def gone():
        try:
            await cluster.kind(GVK(group, "v1", "Widget"))
        except KindUnknownError:
            return True
        return False

    await eventually(gone)


@pytest.mark.parametrize(
    "breakage",
    [
        {"group": "nodot"},
        {"scope": "Everywhere"},
        {"versions": []},
        {"versions": [{"name": "v1", "served": True, "storage": True}]},
        {"versions": [{"name": "v1", "served": True, "storage": False, "schema": {"openAPIV3Schema": SCHEMA}}]},
        {"names": {"plural": "others", "kind": "Widget"}},
        {"names": "widgets"},
    ],
)
async def test_a_malformed_definition_is_refused(cluster, breakage):
    spec = {
        "group": "bad.example.com",
        "scope": "Namespaced",
        "names": {"plural": "widgets", "kind": "Widget"},
        "versions": [{"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": SCHEMA}}],
    }
    given = {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "widgets.bad.example.com"},
        "spec": spec | breakage,
    }
    with pytest.raises(InvalidError):
        await cluster.create(given)


async def test_charts_are_told_the_version_of_the_cluster_and_all_that_it_serves_in_each_version(cluster, widget, eventually):
    group = widget()["apiVersion"].partition("/")[0]

    async def told():
        found = await cluster.capabilities()
        return found if f"{group}/v2/Widget" in found.api_versions else None

    found = await eventually(told)
    assert re.fullmatch(r"v1\.\d+\.\d+.*", found.kube_version)
    assert {"v1", "v1/Pod", "apps/v1", "apps/v1/Deployment", f"{group}/v1", f"{group}/v1/Widget", f"{group}/v2"} <= {*found.api_versions}
    assert not {"apps/v1beta2", "policy/v1beta1", "extensions/v1beta1/Ingress"} & {*found.api_versions}
