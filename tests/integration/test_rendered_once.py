"""Rule 10: what was rendered once is not rendered again, over a restart neither: revisions keep what was rendered."""

from __future__ import annotations

from pathlib import Path

import pytest

from reconciler.render import sandbox
from reconciler.render.answers import Answers
from tests.integration.harness import Clone, running

pytestmark = pytest.mark.usefixtures("renderers")

COUNT = 4
MAP = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: %s}\ndata: {a: b}\n"
SHARED = {
    "chart/Chart.yaml": "apiVersion: v2\nname: chart\nversion: 1.0.0\n",
    "chart/templates/map.yaml": MAP % "{{ .Release.Name }}-chart",
    "definitions/say.yaml": "apiVersion: core.oam.dev/v1beta1\nkind: WorkflowStepDefinition\nmetadata: {name: say}\nspec:\n  schematic:\n    cue:\n"
    '      template: |\n        import "vela/op"\n        parameter: text: string\n        said: op.#Message & {message: parameter.text}\n',
}


def application(number: int) -> dict[str, str]:
    name = f"app-{number}"
    text = (
        f"apiVersion: core.oam.dev/v1beta1\nkind: Application\nmetadata: {{name: {name}}}\nspec:\n  components:\n"
        f"  - {{name: {name}-a, type: helm, properties: {{path: chart}}}}\n  - {{name: {name}-b, type: kustomize, properties: {{path: over/{name}}}}}\n"
        f"  workflow:\n    steps:\n    - {{name: say, type: say, properties: {{text: {name}}}}}\n"
        f"    - {{name: a, type: apply-component, properties: {{component: {name}-a}}}}\n"
        f"    - {{name: b, type: apply-component, properties: {{component: {name}-b}}}}\n"
    )
    return {
        f"apps/{name}.yaml": text,
        f"over/{name}/kustomization.yaml": "resources: [map.yaml]\n",
        f"over/{name}/map.yaml": MAP % f"{name}-overlay",
    }


async def test_rule_10_the_same_applications_after_a_restart_evaluate_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clone, state, engines = Clone(tmp_path), str(tmp_path / "state.db"), sandbox.shared()
    names = [f"app-{number}" for number in range(COUNT)]
    clone.push({**SHARED, **{path: text for number in range(COUNT) for path, text in application(number).items()}})
    before = engines.evaluated
    async with running(clone, state, paths=("apps", "definitions")) as daemon:
        for name in names:
            await daemon.synced(name)
    assert engines.evaluated - before >= 3 * COUNT
    monkeypatch.setattr(engines, "answers", Answers())  # another process would know none of them
    before = engines.evaluated
    async with running(clone, state, paths=("apps", "definitions")) as daemon:
        for name in names:
            await daemon.synced(name)
        assert {(await daemon.get("ConfigMap", f"{name}-{kind}"))["data"]["a"] for name in names for kind in ("a-chart", "overlay")} == {"b"}
    assert engines.evaluated == before
