"""Kustomizations, each for one thing that Kustomize can do: name to files, and the folder to build."""

from __future__ import annotations

DEPLOYMENT = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, labels: {app: web}}
spec:
  replicas: 1
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
      - {name: web, image: "example/web:1", env: [{name: HOST, value: PLACEHOLDER}], envFrom: [{configMapRef: {name: settings}}]}
      - {name: side, image: "example/side@sha256:0000000000000000000000000000000000000000000000000000000000000000"}
"""
SERVICE = """
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{port: 80}]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: web}
subjects: [{kind: ServiceAccount, name: default, namespace: here}]
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: view}
"""
BASE = {"base/kustomization.yaml": "resources: [deployment.yaml, service.yaml]\n", "base/deployment.yaml": DEPLOYMENT, "base/service.yaml": SERVICE}


def _over(text: str, **files: str) -> dict[str, str]:
    return {**BASE, "over/kustomization.yaml": text, **{f"over/{name.replace('__', '.')}": content for name, content in files.items()}}


CORPUS: dict[str, dict[str, str]] = {
    "plain": _over("resources: [../base]\n"),
    "names, namespace, labels and annotations": _over(
        "resources: [../base]\nnamePrefix: pre-\nnameSuffix: -suf\nnamespace: there\n"
        "labels: [{pairs: {team: a}, includeSelectors: true, includeTemplates: true}]\ncommonAnnotations: {note: 'yes'}\n"
    ),
    "images and replicas": _over(
        "resources: [../base]\nimages: [{name: example/web, newName: other/web, newTag: '2'}, {name: example/side, digest: 'sha256:1111111111111111111111111111111111111111111111111111111111111111'}]\n"
        "replicas: [{name: web, count: 5}]\n"
    ),
    "generators with hashes": _over(
        "resources: [../base]\nconfigMapGenerator:\n- {name: settings, literals: [a=1, 'b=x y'], files: [f__txt, other=g__txt], envs: [e__env]}\n".replace(
            "__", "."
        )
        + "secretGenerator:\n- {name: secret, literals: [p=word], type: Opaque}\ngeneratorOptions: {labels: {made: here}}\n",
        f__txt="text\nof lines\n",
        g__txt="\u00e9\n",
        e__env="C=3\n# no\nD=4\n",
    ),
    "generators merged onto those of the base": {
        **BASE,
        "base/kustomization.yaml": "resources: [deployment.yaml]\nconfigMapGenerator: [{name: settings, literals: [a=1, b=2]}]\n",
        "over/kustomization.yaml": "resources: [../base]\nnamePrefix: p-\nconfigMapGenerator: [{name: settings, behavior: merge, literals: [b=3]}]\n",
    },
    "strategic merge patches": _over(
        "resources: [../base]\npatches:\n- path: p.yaml\n- patch: |-\n    apiVersion: v1\n    kind: Service\n    metadata: {name: web}\n    $patch: delete\n",
        p__yaml="apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\nspec: {template: {spec: {containers: [{name: side, $patch: delete}, {name: new, image: n}]}}}\n",
    ),
    "patches by JSON path and target": _over(
        "resources: [../base]\npatches:\n- target: {kind: Deployment, labelSelector: app=web}\n  patch: |-\n"
        "    - {op: replace, path: /spec/replicas, value: 9}\n    - {op: add, path: /metadata/annotations, value: {x: 'y'}}\n"
    ),
    "components": {
        **BASE,
        "part/kustomization.yaml": "apiVersion: kustomize.config.k8s.io/v1alpha1\nkind: Component\nresources: [c.yaml]\nreplicas: [{name: web, count: 3}]\n",
        "part/c.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\n",
        "over/kustomization.yaml": "resources: [../base]\ncomponents: [../part]\n",
    },
    "replacements": _over(
        "resources: [../base]\nreplacements:\n- source: {kind: Service, name: web, fieldPath: metadata.name}\n"
        "  targets: [{select: {kind: Deployment}, fieldPaths: ['spec.template.spec.containers.[name=web].env.[name=HOST].value']}]\n"
    ),
    "sort options": _over("resources: [../base]\nsortOptions: {order: fifo}\n"),
    "a chain of overlays": {
        **BASE,
        "middle/kustomization.yaml": "resources: [../base]\nnamePrefix: m-\n",
        "over/kustomization.yaml": "resources: [../middle]\nnamespace: far\nnamePrefix: o-\n",
    },
    "transformers and generators by configuration": _over(
        "resources: [../base]\ntransformers: [t.yaml]\n",
        t__yaml="apiVersion: builtin\nkind: PrefixTransformer\nmetadata: {name: x}\nprefix: t-\nfieldSpecs: [{path: metadata/name}]\n",
    ),
    "name references of kinds of one's own": _over(
        "resources: [../base, own.yaml]\nnamePrefix: p-\nconfigurations: [c.yaml]\n",
        own__yaml="apiVersion: example.com/v1\nkind: Own\nmetadata: {name: own}\nspec: {service: web}\n",
        c__yaml="nameReference: [{kind: Service, fieldSpecs: [{kind: Own, path: spec/service}]}]\n",
    ),
    "numbers, texts and emptiness": _over(
        "resources: [odd.yaml]\n",
        odd__yaml="apiVersion: v1\nkind: ConfigMap\nmetadata: {name: odd}\ndata: {a: 'on', b: '012', c: '1e3', d: '', e: \"\\u0001\"}\nx: [1, 2.5, 1e3, 9007199254740993, null, true, {}, []]\n",
    ),
}
REFUSED: dict[str, dict[str, str]] = {
    "a file outside of its folder": _over("resources: [../base]\nconfigMapGenerator: [{name: x, files: [../base/service.yaml]}]\n"),
    "a patch without target": _over(
        "resources: [../base]\npatches: [{path: p.yaml}]\n", p__yaml="apiVersion: v1\nkind: Secret\nmetadata: {name: none}\n"
    ),
    "a program": _over(
        "resources: [../base]\ntransformers: [t.yaml]\n",
        t__yaml="apiVersion: example.com/v1\nkind: Evil\nmetadata: {name: x, annotations: {config.kubernetes.io/function: 'exec: {path: ./evil}'}}\n",
    ),
    "the same object twice": _over("resources: [../base, ../base/service.yaml]\n"),
}
