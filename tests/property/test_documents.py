"""No bytes and no document can crash or hang the dialects, and what they read they read as written."""

import json

from hypothesis import given
from hypothesis import strategies as st

from reconciler.dialects.documents import line_of, parse
from reconciler.dialects.registry import compile_file, dialects
from reconciler.steps.catalog import STEP_TYPES

DIALECTS = dialects(STEP_TYPES)
FOLDER = {
    "base/a.yaml": b"kind: StatefulSet\n",
    "environment.yaml": b"apiVersion: reconciler.dev/v1alpha1\nkind: Environment\nmetadata: {name: a}\nspec: {global: {x: 1}}\n",
}


class Files:
    def oid(self, path):
        return "0" * 40 if path in FOLDER else None

    def folder(self, path):
        return {name: "0" * 40 for name in FOLDER if name.startswith(path + "/")}

    def read(self, path):
        return FOLDER[path]


def compiled(data):
    return compile_file("a.yaml", data, Files(), DIALECTS)


TOKENS = st.sampled_from(
    ["a", "b", ": ", ":", "- ", "\n", "\n  ", "\n    ", "? ", "[", "]", "{", "}", ", ", "&x ", "*x", "<<: ", "!!str ", "!a ", "---\n", "...\n", "'", '"', "|", ">", "#", "%", "\t", "1", "y", "~", "\r\n", "\ufeff", "\u2028", "é", "%YAML 1.1\n"]
)  # fmt: skip
SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
# Words that the dialects look for, so that what is drawn gets past the first check.
WORDS = st.sampled_from([
    "name", "type", "components", "workflow", "steps", "properties", "traits", "inputs", "outputs", "dependsOn", "from", "parameterKey",
    "valueFrom", "exportKey", "webservice", "statefulset", "k8s-objects", "manifests", "path", "base", "objects", "image", "a", "b",
    "apply-component", "component", "apply-components", "deploy", "suspend", "rollout", "partition", "policies", "topology", "override",
    "revisionName", "K8S_MICROSERVICE|a|_", "parameterValues", "dataInputs", "toFieldPaths", "spec.values", "spec.a[0]", "value",
    "Global.x", "{{ Global.x }}", "dataOutputName", "scopes", "scopeRef", "kind", "Namespace", "namespace", "annotations", "labels", "env",
    "ports", "mode", "DAG", "run", "apply-object", "apiVersion"
])  # fmt: skip
VALUES = st.recursive(
    SCALARS | WORDS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(WORDS | st.text(max_size=5), inner, max_size=5), max_leaves=40
)


@given(st.binary(max_size=400))
def test_any_bytes_are_read_or_refused(data):
    documents, problems = parse("a", data)
    assert all(isinstance(document.content, dict) for document in documents)
    assert all(problem.message for problem in problems)


@given(st.lists(TOKENS, max_size=60).map("".join))
def test_any_yaml_like_text_is_read_or_refused_and_its_lines_are_found(text):
    documents, _ = parse("a", text)
    for document in documents:
        json.dumps(document.content, allow_nan=False)
        for key in document.content:
            assert 0 <= line_of(text, document.position, (key,)) <= text.count("\n") + text.count("\r") + text.count("\u2028") + 1
    compiled(text)


@given(st.dictionaries(st.text(), VALUES, max_size=5))
def test_what_json_writes_is_read_back_as_written(value):
    text = json.dumps(value, ensure_ascii=True)
    documents, problems = parse("a", text)
    if "\\ud" not in text and not problems:
        assert documents[0].content == json.loads(text, parse_int=lambda digits: int(digits) if -(2**63) <= int(digits) < 2**64 else float(digits))


@given(st.sampled_from([("core.oam.dev/v1beta1", "Application"), ("core.oam.dev/v1alpha2", "ApplicationConfiguration")]), VALUES, VALUES)
def test_any_document_of_ours_compiles_or_says_why_not(kind, metadata, spec):
    content = {"apiVersion": kind[0], "kind": kind[1], "metadata": metadata, "spec": spec}
    result = compiled(json.dumps(content, ensure_ascii=True))
    assert len(result.applications) == 1 or any(problem.severity == "error" for problem in result.problems)


COMPONENTS = st.lists(
    st.fixed_dictionaries(
        {"name": st.sampled_from("abc"), "type": st.sampled_from(["webservice", "statefulset", "k8s-objects", "manifests", "x"]), "properties": VALUES},
        optional={"traits": VALUES, "dependsOn": st.lists(st.sampled_from("abcd"), max_size=3), "inputs": VALUES, "outputs": VALUES},
    ),
    max_size=4,
)  # fmt: skip
STEPS = st.lists(
    st.fixed_dictionaries(
        {"type": st.sampled_from([*STEP_TYPES, "x"]), "properties": VALUES | st.fixed_dictionaries({"component": st.sampled_from("abc")})},
        optional={"name": st.sampled_from("abc") | st.text(max_size=4), "dependsOn": st.lists(st.sampled_from("abcd"), max_size=3), "inputs": VALUES},
    ),
    max_size=4,
)  # fmt: skip


@given(COMPONENTS, STEPS, st.sampled_from(["StepByStep", "DAG"]))
def test_any_workflow_compiles_with_unique_keys_and_known_components_or_says_why_not(components, steps, mode):
    spec = {"components": components, "workflow": {"steps": steps, "mode": {"steps": mode}}}
    content = {"apiVersion": "core.oam.dev/v1beta1", "kind": "Application", "metadata": {"name": "a"}, "spec": spec}
    result = compiled(json.dumps(content, ensure_ascii=True))
    for application in result.applications:
        keys = [step.key for step in application.workflow.steps]
        assert len(set(keys)) == len(keys)
        for step in application.workflow.steps:
            assert all(application.component(component_id) for component_id in step.components)


@given(VALUES, VALUES, VALUES)
def test_any_fragment_compiles_or_says_why_not(parameters, policies, workflow):
    content = {"components": [{"revisionName": "K8S_MICROSERVICE|a|_", "parameterValues": parameters}], "policies": policies, "workflow": workflow}
    result = compiled(json.dumps(content, ensure_ascii=True))
    assert len(result.applications) == 1 or any(problem.severity == "error" for problem in result.problems)
