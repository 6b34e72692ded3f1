"""Charts that are written to do harm: each is an error of its component, within the bounds of a call, and the next one renders."""

import pytest

from reconciler.render import helm
from reconciler.render.helm import render_helm
from reconciler.render.protocol import RenderError
from reconciler.render.sandbox import Limits, Sandbox
from tests.integration.rendering.charts import files_of
from tests.integration.rendering.test_helm import CONTEXT, component
from tests.integration.rendering.test_kustomize import Texts

GOOD = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: m}\ndata: {x: '%s'}\n"
BOUND = "no answer within|MiB of memory|bytes of output|out of range"  # which of them is met first depends on the machine
ATTACKS = {
    "a loop that takes years": (
        "{{ range until 10000 }}{{ range until 10000 }}{{ range until 10000 }}{{ end }}{{ end }}{{ end }}",
        "no answer within",
    ),
    "a list of a hundred million": ("{{ range until 100000000 }}{{ end }}", BOUND),
    "a string of 10 GB": ('{{ repeat 1000000 (repeat 10000 "x") }}', BOUND),
    "a string that doubles": ('{{ $s := "x" }}{{ range until 60 }}{{ $s = print $s $s }}{{ end }}{{ $s }}', BOUND),
    "more output than is taken": ('# {{ repeat 60000 (repeat 1000 "x") }}', BOUND),
    "a template that includes itself": ('{{ define "a" }}{{ include "a" . }}{{ end }}{{ include "a" . }}', "too deeply|nested|recursion|stack"),
    "a pattern that is slow elsewhere": ('{{ regexMatch "(a+)+$" (repeat 5000000 "a") }}', ""),
    "the environment": ('{{ env "HOME" }}', 'function "env" not defined'),
    "the expanded environment": ('{{ expandenv "$HOME" }}', 'function "expandenv" not defined'),
    "a file of the machine": ('{{ .Files.Get "/etc/passwd" | required "nothing there" }}', "nothing there"),
    "a file above the chart": ('{{ .Files.Get "../../etc/passwd" | required "nothing there" }}', "nothing there"),
    "the network": ('{{ getHostByName "example.com" | required "nothing there" }}', "nothing there"),
    "the cluster": ('{{ (lookup "v1" "Secret" "kube-system" "").items | required "nothing there" }}', "nothing there"),
}


@pytest.fixture
def bounded(renderers, monkeypatch):
    """A small share of time and memory, so that a test of a bound is not as long as the bound."""
    sandbox = Sandbox(limits=Limits(seconds=4.0, memory=256 << 20, output=8 << 20))
    monkeypatch.setattr(helm, "shared", lambda: sandbox)


@pytest.mark.parametrize("name", ATTACKS)
def test_an_attack_by_a_template_is_an_error_of_its_component_and_the_next_one_renders(bounded, name):
    text, said = ATTACKS[name]
    with pytest.raises(RenderError, match=rf"(?s)component web: properties\.path: .*({said})"):
        render(text)
    [made] = render(GOOD % "well")
    assert made["data"] == {"x": "well"}


def render(text):
    return render_helm(component({}), CONTEXT, Texts({f"chart/{path}": content for path, content in files_of({"templates/m.yaml": text}).items()}))
