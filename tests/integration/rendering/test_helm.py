"""Component type helm gives what `helm template` gives, and what that refuses is an error."""

import io
import subprocess
import tarfile

import pytest
import yaml

from reconciler.model.application import Component
from reconciler.model.chart import Capabilities
from reconciler.render.helm import AFTER, BEFORE, render_helm
from reconciler.render.protocol import RenderContext, RenderError
from tests.integration.rendering.charts import CHARTS, REFUSED, files_of
from tests.integration.rendering.test_kustomize import Texts

CONTEXT = RenderContext("shop", "default", "dev", {})
HOOK = "helm.sh/hook"


class Packed(Texts):
    def archive(self, component):
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w:gz") as tar:
            for name, text in self.files.items():
                entry = tarfile.TarInfo(f"chart/{name}")
                entry.size = len(text.encode())
                tar.addfile(entry, io.BytesIO(text.encode()))
        return packed.getvalue()


def place(folder, files):
    for path, text in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)


def template(helm, folder, values, *more):
    (folder / "user.yaml").write_text(yaml.safe_dump(values))
    words = [helm, "template", "web", folder / "chart", "--namespace", "default", "--include-crds", "--skip-tests", "-f", folder / "user.yaml", *more]
    return subprocess.run(words, capture_output=True, text=True, check=False)


def component(values, **properties):
    return Component("web", "web", "helm", {"path": "chart", "values": values, **properties})


def hooks_of(obj):
    written = ((obj.get("metadata") or {}).get("annotations") or {}).get(HOOK, "")
    return {event.strip() for event in written.split(",") if event.strip()}


def named(objects):
    return sorted(objects, key=lambda obj: (obj["kind"], obj["metadata"]["name"]))


@pytest.mark.parametrize("name", CHARTS)
def test_objects_and_their_order_are_those_of_the_command(renderers, helm, tmp_path, name):
    chart, values = CHARTS[name]
    place(tmp_path / "chart", files_of(chart))
    printed = template(helm, tmp_path, values)
    assert printed.returncode == 0, printed.stderr
    wanted = [obj for obj in yaml.load_all(printed.stdout, yaml.CSafeLoader) if obj]
    made = render_helm(component(values), CONTEXT, Texts({f"chart/{path}": text for path, text in files_of(chart).items()}))
    assert [obj for obj in made if not hooks_of(obj)] == [obj for obj in wanted if not hooks_of(obj)]
    assert named(obj for obj in made if hooks_of(obj)) == named(obj for obj in wanted if hooks_of(obj) & (BEFORE | AFTER))


@pytest.mark.parametrize("name", [name for name, (chart, _) in CHARTS.items() if ".helmignore" not in chart])  # that is read when it is packed
def test_a_packed_chart_gives_the_same_as_its_folder(renderers, name):
    chart, values = CHARTS[name]
    files = files_of(chart)
    folder = render_helm(component(values), CONTEXT, Texts({f"chart/{path}": text for path, text in files.items()}))
    assert render_helm(Component("web", "web", "helm", {"values": values}), CONTEXT, Packed(files)) == folder


@pytest.mark.parametrize("name", REFUSED)
def test_what_the_command_refuses_is_an_error_that_names_component_and_field(renderers, helm, tmp_path, name):
    chart, values = REFUSED[name]
    place(tmp_path / "chart", files_of(chart))
    assert template(helm, tmp_path, values).returncode
    with pytest.raises(RenderError, match=r"component web: properties\.path: "):
        render_helm(component(values), CONTEXT, Texts({f"chart/{path}": text for path, text in files_of(chart).items()}))


def test_hooks_stand_before_and_after_what_is_installed_by_weight(renderers):
    chart, values = CHARTS["hooks by weight, and tests"]
    made = render_helm(component(values), CONTEXT, Texts({f"chart/{path}": text for path, text in files_of(chart).items()}))
    assert [obj["metadata"]["name"] for obj in made] == ["first", "second", "m", "after"]


def test_values_override_one_another_from_the_chart_to_the_component(renderers):
    chart = {
        "values.yaml": "a: chart\nb: chart\nc: chart\nd: chart\n",
        "prod.yaml": "b: file\nc: file\nd: file\n",
        "templates/m.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: m}\ndata: {{ .Values | toJson }}\n",
    }
    files = Texts({f"chart/{path}": text for path, text in files_of(chart).items()})
    [made] = render_helm(component({"d": "own"}, valuesFiles=["prod.yaml"], valuesFrom=[{"values": {"c": "from", "d": "from"}}]), CONTEXT, files)
    assert made["data"] == {"a": "chart", "b": "file", "c": "from", "d": "own"}
    with pytest.raises(RenderError, match=r"no file gone\.yaml"):
        render_helm(component({}, valuesFiles=["gone.yaml"]), CONTEXT, files)


def test_what_a_chart_knows_of_the_cluster_is_what_it_is_told(renderers, helm, tmp_path):
    chart = {
        "templates/m.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: m}\ndata: {v: '{{ .Capabilities.KubeVersion }}', h: '{{ .Capabilities.APIVersions.Has \"example.com/v1\" }}'}\n"
    }
    place(tmp_path / "chart", files_of(chart))
    printed = template(helm, tmp_path, {}, "--kube-version", "1.30.2", "--api-versions", "example.com/v1")
    context = CONTEXT._replace(capabilities=Capabilities("1.30.2", ("example.com/v1",)))
    made = render_helm(component({}), context, Texts({f"chart/{path}": text for path, text in files_of(chart).items()}))
    assert made == list(yaml.safe_load_all(printed.stdout))
    assert made[0]["data"]["h"] == "true"


@pytest.mark.parametrize(
    "function",
    ['genPrivateKey "rsa"', 'genCA "a" 1', 'genSelfSignedCert "a" nil nil 1', 'genSignedCert "a" nil nil 1 (dict)'],
)
def test_rule_12_a_chart_makes_no_keys_since_who_reads_the_repository_could_make_the_same(renderers, function):
    chart = {"templates/m.yaml": f"{{{{ {function} }}}}"}
    with pytest.raises(RenderError, match="is off"):
        render_helm(component({}), CONTEXT, Texts({f"chart/{path}": text for path, text in files_of(chart).items()}))


def test_equal_input_gives_equal_objects_whatever_is_random_in_them(renderers):
    text = '{{ randAlphaNum 8 }} {{ randInt 1 100000 }} {{ uuidv4 }} {{ shuffle "abcdefghij" }} {{ now }} {{ keys (dict "a" 1 "b" 2 "c" 3 "d" 4) | join "" }}'
    chart = {"templates/m.yaml": f"apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: m}}\ndata: {{x: '{text}'}}\n"}
    files = Texts({f"chart/{path}": content for path, content in files_of(chart).items()})
    first, other, again = (render_helm(component({"n": number}), CONTEXT, files) for number in (1, 2, 1))
    assert first == again
    assert first != other
