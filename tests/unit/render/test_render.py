"""What every component type goes through, and the plain ones."""

import copy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.dialects.catalog import COMPONENT_TYPES as KNOWN_TO_VALIDATION
from reconciler.dialects.traits import TRAITS as TRAITS_KNOWN_TO_VALIDATION
from reconciler.model.application import Component, Trait
from reconciler.render.catalog import COMPONENT_TYPES
from reconciler.render.engine import ComponentRenderer
from reconciler.render.protocol import RenderContext, RenderError
from reconciler.render.traits import TRAIT_TYPES

CONTEXT = RenderContext("shop", "shop-dev", "dev", {})


class Folder:
    """Files at one commit."""

    def __init__(self, files=None):
        self._files = files or {}

    def folder(self, path):
        return {name: "oid" for name in self._files if name.startswith(f"{path}/")}

    def read(self, path):
        value = self._files[path]
        if isinstance(value, Exception):
            raise value
        return value.encode()

    def tree(self, path):
        return {name: self.read(name) for name in self.folder(path)}

    def archive(self, component):
        raise RenderError(f"component {component}: there is no chart for it")


def render(kind, properties, files=None, **more):
    return ComponentRenderer().render(Component("web", "web", kind, properties, **more), CONTEXT, Folder(files))


def config(name="c", **meta):
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, **meta}}


def names(objects):
    return [f"{obj['kind']}/{obj['metadata']['name']}" for obj in objects]


def test_what_validation_lets_through_can_be_rendered():
    assert set(KNOWN_TO_VALIDATION) <= set(COMPONENT_TYPES)
    assert set(TRAITS_KNOWN_TO_VALIDATION) == set(TRAIT_TYPES)


def test_an_unknown_type_is_an_error_with_the_nearest_known_name():
    with pytest.raises(RenderError, match=r"component web: there is no component type webservise; did you mean webservice\?"):
        render("webservise", {})


def test_objects_get_the_components_namespace_else_the_contexts_and_keep_their_own():
    objects = [config("a"), config("b", namespace="own")]
    assert [obj["metadata"]["namespace"] for obj in render("k8s-objects", {"objects": objects})] == ["shop-dev", "own"]
    assert render("k8s-objects", {"objects": [config()]}, namespace="other")[0]["metadata"]["namespace"] == "other"


def test_cluster_scoped_kinds_get_no_namespace_those_of_a_crd_beside_them_neither():
    crd = {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "zones.example.com"},
        "spec": {"group": "example.com", "scope": "Cluster", "names": {"kind": "Zone"}},
    }
    zone = {"apiVersion": "example.com/v1", "kind": "Zone", "metadata": {"name": "z", "namespace": "x"}}
    role = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": "system:view"}}
    assert all("namespace" not in obj["metadata"] for obj in render("k8s-objects", {"objects": [zone, role, crd]}))


def test_namespaces_and_crds_come_first_and_the_rest_as_given():
    crd = {"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {"name": "x.example.com"}}
    space = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "n"}}
    objects = [config("b"), crd, config("a"), space]
    assert names(render("k8s-objects", {"objects": objects})) == [
        "Namespace/n",
        "CustomResourceDefinition/x.example.com",
        "ConfigMap/b",
        "ConfigMap/a",
    ]


def test_a_removed_version_becomes_the_served_one_with_the_selector_that_it_defaulted():
    old = {
        "apiVersion": "apps/v1beta1",
        "kind": "Deployment",
        "metadata": {"name": "d"},
        "spec": {"template": {"metadata": {"labels": {"a": "b"}}}},
    }
    (new,) = render("k8s-objects", {"objects": [old]})
    assert new["apiVersion"] == "apps/v1"
    assert new["spec"]["selector"] == {"matchLabels": {"a": "b"}}


@pytest.mark.parametrize("second", [config(), config(namespace="shop-dev")])
def test_two_objects_of_one_identity_are_an_error(second):
    with pytest.raises(RenderError, match="component web: ConfigMap shop-dev/c is there twice"):
        render("k8s-objects", {"objects": [config(), second]})


def test_the_same_object_in_a_removed_and_a_served_version_is_there_twice():
    objects = [{"apiVersion": version, "kind": "Deployment", "metadata": {"name": "d"}} for version in ("apps/v1", "extensions/v1beta1")]
    with pytest.raises(RenderError, match="there twice"):
        render("k8s-objects", {"objects": objects})


def test_a_list_is_its_items():
    outer = {"apiVersion": "v1", "kind": "List", "items": [config("a"), config("b")]}
    assert names(render("k8s-objects", {"objects": [outer]})) == ["ConfigMap/a", "ConfigMap/b"]
    with pytest.raises(RenderError, match="List inside a List"):
        render("k8s-objects", {"objects": [{**outer, "items": [outer]}]})


@pytest.mark.parametrize(
    ("obj", "message"),
    [
        ("text", "object 0 is no mapping"),
        ({"kind": "X", "metadata": {"name": "a"}}, "apiVersion is missing"),
        ({"apiVersion": "a/b/v1", "kind": "X", "metadata": {"name": "a"}}, "apiVersion is missing or malformed"),
        ({"apiVersion": "v1", "metadata": {"name": "a"}}, "kind is missing"),
        ({"apiVersion": "v1", "kind": "X"}, "metadata is no mapping"),
        ({"apiVersion": "v1", "kind": "X", "metadata": {"generateName": "a-"}}, "metadata.name is required"),
        (config("Upper"), "metadata.name Upper is no valid name"),
        (config("a/../b"), "is no valid name"),
        (config("a" * 254), "is no valid name"),
        (config("x\n"), "is no valid name"),
        ({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "a.b"}}, "is no valid name"),
        (config(namespace="No"), "metadata.namespace is no namespace name"),
        (config(namespace=3), "metadata.namespace is no text"),
        (config(labels={"a": True}), "metadata.labels is no mapping of texts"),
        (config(annotations=["a"]), "metadata.annotations is no mapping of texts"),
    ],
)
def test_what_no_cluster_could_take_is_refused_with_its_field(obj, message):
    with pytest.raises(RenderError, match=message):
        render("k8s-objects", {"objects": [obj]})


def test_no_objects_at_all_is_an_error():
    with pytest.raises(RenderError, match=r"component web: properties.objects: must hold at least one object"):
        render("k8s-objects", {"objects": []})


def test_rendering_changes_no_argument_and_shares_nothing_with_it():
    component = Component("web", "web", "k8s-objects", {"objects": [config(labels={"a": "b"})]}, traits=[Trait("labels", {"x": "y"})])
    before = copy.deepcopy(component)
    first = ComponentRenderer().render(component, CONTEXT, Folder())
    first[0]["metadata"]["labels"]["a"] = "changed"
    assert component == before
    assert ComponentRenderer().render(component, CONTEXT, Folder())[0]["metadata"]["labels"] == {"a": "b", "x": "y"}


MANIFEST = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: NAME}\n"


def test_manifests_are_all_files_of_the_folder_in_order_of_their_paths():
    files = {
        "deploy/b.yaml": MANIFEST.replace("NAME", "b1") + "---\n" + MANIFEST.replace("NAME", "b2"),
        "deploy/a/x.YML": MANIFEST.replace("NAME", "a"),
        "deploy/c.json": '{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}}',
        "deploy/README.md": "kind: nothing",
        "deployment/z.yaml": MANIFEST.replace("NAME", "z"),
    }
    assert names(render("manifests", {"path": "deploy/"}, files)) == ["ConfigMap/a", "ConfigMap/b1", "ConfigMap/b2", "ConfigMap/c"]


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({}, "no YAML or JSON file below deploy"),
        ({"deploy/a.yaml": "# nothing\n"}, "no object in the files below deploy"),
        ({"deploy/a.yaml": MANIFEST, "deploy/b.yaml": "a: [1\n"}, "deploy/b.yaml:"),
        ({"deploy/a.yaml": MANIFEST + "---\na: 1\n"}, "deploy/a.yaml:5: a document without kind"),
        ({"deploy/a.yaml": ValueError("too large")}, "deploy/a.yaml: too large"),
    ],
)
def test_rule_1_a_folder_that_cannot_be_read_in_full_renders_nothing(files, message):
    with pytest.raises(RenderError, match=message):
        render("manifests", {"path": "deploy"}, files)


def attempt(kind, properties, **more):
    try:
        return render(kind, properties, **more), ""
    except RenderError as error:
        return [], str(error)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 99_999) | st.sampled_from(["", "a", "web", "Deployment", "apps/v1", "v1", "List"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["name", "spec", "template", "containers", "env", "metadata", "labels"]), inner, max_size=4)
    ),
    max_leaves=14,
)
TRAITS = st.builds(
    Trait,
    st.sampled_from([*TRAIT_TYPES, "other"]),
    st.dictionaries(
        st.sampled_from(["replicas", "env", "unset", "containerName", "a", "min", "cpu", "http", "strategy", "metadata"]), JSON, max_size=3
    ),
)
TEMPLATES = st.fixed_dictionaries(
    {}, optional={"metadata": JSON, "spec": JSON | st.fixed_dictionaries({"containers": JSON | st.lists(st.fixed_dictionaries({"env": JSON}))})}
)
SPECS = JSON | st.fixed_dictionaries(
    {}, optional={"template": JSON | TEMPLATES, "selector": JSON, "jobTemplate": JSON | st.fixed_dictionaries({"spec": JSON})}
)
OBJECTS = st.fixed_dictionaries(
    {"apiVersion": st.just("apps/v1"), "kind": st.sampled_from(["Deployment", "StatefulSet", "CronJob"]), "metadata": st.just({"name": "a"})},
    optional={"spec": SPECS},
)


@given(st.lists(OBJECTS, min_size=1, max_size=2), st.lists(TRAITS, max_size=3))
def test_any_object_under_any_trait_renders_or_is_a_render_error(objects, traits):
    rendered, error = attempt("k8s-objects", {"objects": objects}, traits=traits)
    assert error.startswith("component web: ") if error else len(rendered) >= len(objects)


FIELDS = st.sampled_from(
    [
        "image",
        "ports",
        "port",
        "env",
        "cmd",
        "cpu",
        "limit",
        "volumeMounts",
        "labels",
        "hostAliases",
        "partition",
        "name",
        "values",
        "rollout",
        "objects",
        "path",
    ]
)


@given(st.sampled_from(sorted(COMPONENT_TYPES)), st.dictionaries(FIELDS, JSON, max_size=6))
def test_any_properties_render_or_are_a_render_error(kind, properties):
    rendered, error = attempt(kind, {"image": "x", **properties})
    assert error.startswith("component web: ") if error else rendered
