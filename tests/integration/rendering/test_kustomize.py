"""Component type kustomize gives what `kustomize build` gives, and what that refuses is an error."""

import subprocess

import pytest
import yaml

from reconciler.model.application import Component
from reconciler.render.engine import ComponentRenderer
from reconciler.render.kustomize import render_kustomize
from reconciler.render.protocol import RenderContext, RenderError
from tests.integration.rendering.corpus import CORPUS, REFUSED

CONTEXT = RenderContext("shop", "default", "dev", {})
COMPONENT = Component("web", "web", "kustomize", {"path": "over"})


class Texts:
    def __init__(self, files):
        self.files = files

    def folder(self, path):
        return {name: "0" for name in self.files if name.startswith(f"{path}/")}

    def read(self, path):
        return self.files[path].encode()

    def tree(self, path):
        return {name: self.read(name) for name in self.folder(path)}


@pytest.mark.parametrize("name", CORPUS)
def test_objects_and_their_order_are_those_of_the_command(renderers, kustomize, tmp_path, name):
    for path, text in CORPUS[name].items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    built = subprocess.run([kustomize, "build", tmp_path / "over"], capture_output=True, text=True, check=True)
    assert render_kustomize(COMPONENT, CONTEXT, Texts(CORPUS[name])) == list(yaml.load_all(built.stdout, yaml.CSafeLoader))


@pytest.mark.parametrize("name", REFUSED)
def test_what_the_command_refuses_is_an_error_that_names_component_and_folder(renderers, kustomize, tmp_path, name):
    for path, text in REFUSED[name].items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    assert subprocess.run([kustomize, "build", tmp_path / "over"], capture_output=True, check=False).returncode
    with pytest.raises(RenderError, match=r"component web: properties\.path: over"):
        render_kustomize(COMPONENT, CONTEXT, Texts(REFUSED[name]))


def test_a_kustomization_that_makes_nothing_is_an_error_since_what_was_there_would_be_pruned(renderers):
    with pytest.raises(RenderError, match="makes no object"):
        render_kustomize(COMPONENT, CONTEXT, Texts({"over/kustomization.yaml": "resources: [e.yaml]\n", "over/e.yaml": ""}))


def test_traits_and_the_components_namespace_apply_to_what_it_makes(renderers):
    component = Component("web", "web", "kustomize", {"path": "over"}, namespace="mine")
    placed = {obj["kind"]: obj["metadata"].get("namespace") for obj in ComponentRenderer().render(component, CONTEXT, Texts(CORPUS["plain"]))}
    assert placed == {"Deployment": "mine", "Service": "mine", "ClusterRoleBinding": None}
