"""Charts, each for one thing that Helm can do: name to files, and to the values that it is rendered with."""

from __future__ import annotations

from typing import Any

CHART = "apiVersion: v2\nname: chart\nversion: 1.2.3\nappVersion: '4.5'\n"


def _map(name: str, data: str) -> str:
    return f"apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}}}\ndata:\n  x: {data}\n"


def _sub(name: str, text: str = "") -> dict[str, str]:
    return {
        f"charts/{name}/Chart.yaml": f"apiVersion: v2\nname: {name}\nversion: 0.1.0\n",
        f"charts/{name}/values.yaml": f"own: {name}\nexports: {{data: {{shared: of-{name}}}}}\n",
        f"charts/{name}/templates/map.yaml": text or _map(f"{{{{ .Release.Name }}}}-{name}", "{{ .Values | toJson | quote }}"),
    }


def _hook(name: str, events: str, weight: int = 0, more: str = "") -> str:
    return (
        f"apiVersion: batch/v1\nkind: Job\nmetadata:\n  name: {name}\n  annotations: {{helm.sh/hook: '{events}', helm.sh/hook-weight: '{weight}'{more}}}\n"
        "spec: {template: {spec: {restartPolicy: Never, containers: [{name: a, image: b}]}}}\n"
    )


CHARTS: dict[str, tuple[dict[str, str], dict[str, Any]]] = {
    "values of the chart and of the user": (
        {
            "values.yaml": "a: {b: 1, c: [1, 2], d: null, e: keep}\nbig: 1000000\nf: 1.5\n",
            "templates/m.yaml": _map(
                "m", "{{ .Values | toYaml | quote }}\n  yy: {{ .Values.big | quote }}\n  z: {{ .Values.a.b }}-{{ int .Values.big }}"
            ),
        },
        {"a": {"b": 2, "c": [3], "e": None}, "more": True},
    ),
    "release, chart and capabilities": (
        {
            "templates/m.yaml": _map(
                "{{ .Release.Name }}",
                "{{ .Release | toJson | quote }}\n  c: {{ .Chart.Name }}-{{ .Chart.Version }}-{{ .Chart.AppVersion }}\n"
                '  k: {{ .Capabilities.KubeVersion.Version }} {{ .Capabilities.APIVersions.Has "apps/v1" }}\n'
                '  t: {{ .Template.Name }} {{ .Template.BasePath }}\n  a: {{ .Capabilities.APIVersions | join " " }}',
            )
        },
        {},
    ),
    "helpers, include, tpl, required and ranges": (
        {
            "templates/_helpers.tpl": '{{- define "name" -}}{{ .Release.Name | trunc 63 }}-{{ .Chart.Name }}{{- end -}}',
            "templates/m.yaml": "{{- range $i, $name := .Values.names }}\n---\n"
            + _map('{{ include "name" $ }}-{{ $name }}', '{{ tpl $.Values.text $ | quote }}\n  i: "{{ $i }}"')
            + '{{- end }}\n# {{ required "names are required" .Values.names }}\n',
        },
        {"names": ["a", "b"], "text": "{{ .Release.Namespace | upper }}"},
    ),
    "files of the chart": (
        {
            "conf/a.txt": "one\ntwo\n",
            "conf/b.txt": "\u00fc",
            "templates/m.yaml": 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: m}\ndata:\n{{ (.Files.Glob "conf/*").AsConfig | indent 2 }}\n  s: {{ .Files.Get "conf/a.txt" | b64enc }}\n',
        },
        {},
    ),
    "what .helmignore names": (
        {
            ".helmignore": "secret/\n*.bak\n",
            "secret/a.txt": "x",
            "templates/old.yaml.bak": '{{ fail "no" }}',
            "templates/m.yaml": _map("m", '{{ .Files.Get "secret/a.txt" | quote }}'),
        },
        {},
    ),
    "dependencies by condition, tag and alias": (
        {
            "Chart.yaml": CHART
            + "dependencies:\n- {name: one, version: 0.1.0, condition: one.enabled}\n- {name: two, version: 0.1.0, tags: [back]}\n"
            + "- {name: three, version: 0.1.0, alias: third, import-values: [data]}\n- {name: four, version: 0.1.0, tags: [back], condition: four.on}\n",
            "values.yaml": "one: {enabled: false}\ntags: {back: true}\nthird: {own: other}\nglobal: {g: 1}\n",
            "templates/m.yaml": _map("m", "{{ .Values.shared | quote }}"),
            **_sub("one"),
            **_sub("two"),
            **_sub("three"),
            **_sub("four"),
        },
        {"four": {"on": False}, "global": {"h": 2}, "two": {"own": "mine"}},
    ),
    "custom resource definitions": (
        {
            "crds/c.yaml": "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: as.example.com}\n---\napiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: bs.example.com}\n",
            "templates/a.yaml": "apiVersion: example.com/v1\nkind: A\nmetadata: {name: a}\n",
        },
        {},
    ),
    "hooks by weight, and tests": (
        {
            "templates/after.yaml": _hook("after", "post-install,post-upgrade"),
            "templates/second.yaml": _hook("second", "pre-install", 5),
            "templates/first.yaml": _hook(
                "first", "pre-install, pre-upgrade", -5, ", helm.sh/hook-delete-policy: 'before-hook-creation,hook-succeeded'"
            ),
            "templates/deleted.yaml": _hook("deleted", "pre-delete"),
            "templates/test.yaml": _hook("test", "test"),
            "templates/m.yaml": _map("m", "a"),
        },
        {},
    ),
    "notes, empty files and many documents": (
        {
            "templates/NOTES.txt": "Thanks {{ .Release.Name }}\n",
            "templates/empty.yaml": "{{ if false }}a{{ end }}\n",
            "templates/many.yaml": "---\n# nothing\n---\n"
            + _map("a", "b")
            + "---\n"
            + "apiVersion: v1\nkind: Service\nmetadata: {name: s}\nspec: {ports: [{port: 80}]}\n---\n",
        },
        {},
    ),
    "the order of installation": (
        {
            "templates/z.yaml": "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: d}\nspec: {}\n",
            "templates/y.yaml": "apiVersion: example.com/v1\nkind: Unknown\nmetadata: {name: u}\n",
            "templates/x.yaml": "apiVersion: v1\nkind: Namespace\nmetadata: {name: space}\n",
            "templates/w.yaml": "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\nstringData: {a: b}\n",
            "templates/v.yaml": _map("m", "a"),
        },
        {},
    ),
    "a schema that the values meet": (
        {
            "values.schema.json": '{"type": "object", "properties": {"count": {"type": "integer", "minimum": 1}}, "required": ["count"]}',
            "templates/m.yaml": _map("m", '"{{ .Values.count }}"'),
        },
        {"count": 3},
    ),
    "lookup, which finds nothing, and no network": (
        {"templates/m.yaml": _map("m", '{{ lookup "v1" "Secret" "a" "b" | toJson | quote }}\n  h: {{ getHostByName "localhost" | quote }}')},
        {},
    ),
    "texts that look like something else": (
        {"templates/m.yaml": _map("m", '"{{ "on" }}"\n  nn: !!str 12\n  o: "0o7"\n  e: ""\n  l: |\n    a\n      b\n  f: >-\n    c\n    d')},
        {},
    ),
    "a chart of the first format": (
        {
            "Chart.yaml": "apiVersion: v1\nname: chart\nversion: 0.1.0\n",
            "requirements.yaml": "dependencies: [{name: one, version: 0.1.0, repository: ''}]\n",
            "templates/m.yaml": _map("m", "a"),
            **_sub("one"),
        },
        {},
    ),
}
REFUSED: dict[str, tuple[dict[str, str], dict[str, Any]]] = {
    "a value that the schema forbids": (
        {"values.schema.json": '{"properties": {"count": {"type": "integer"}}}', "templates/m.yaml": _map("m", "a")},
        {"count": "text"},
    ),
    "a required value that is missing": ({"templates/m.yaml": _map("m", '{{ required "n is required" .Values.n }}')}, {}),
    "a template that fails": ({"templates/m.yaml": '{{ fail "on purpose" }}'}, {}),
    "a template that is no template": ({"templates/m.yaml": "{{ if }}"}, {}),
    "what is no YAML": ({"templates/m.yaml": "a: b: c\n"}, {}),
    "a dependency that is not there": (
        {"Chart.yaml": CHART + "dependencies: [{name: gone, version: 1.0.0}]\n", "templates/m.yaml": _map("m", "a")},
        {},
    ),
    "a library": ({"Chart.yaml": CHART + "type: library\n", "templates/m.yaml": _map("m", "a")}, {}),
    "a cluster that is too old": ({"Chart.yaml": CHART + "kubeVersion: '>= 99.0.0'\n", "templates/m.yaml": _map("m", "a")}, {}),
    "an apiVersion to come": ({"Chart.yaml": CHART.replace("v2", "v3"), "templates/m.yaml": _map("m", "a")}, {}),
    "no Chart.yaml": ({"Chart.yaml": "", "templates/m.yaml": _map("m", "a")}, {}),
    "a name that is defined nowhere": ({"templates/m.yaml": '{{ include "gone" . }}'}, {}),
    "the environment": ({"templates/m.yaml": _map("m", '{{ env "HOME" }}')}, {}),
}


def files_of(chart: dict[str, str]) -> dict[str, str]:
    return {"Chart.yaml": CHART, **chart}
