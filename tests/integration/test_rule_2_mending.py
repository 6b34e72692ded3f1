"""What a document lacks may stand in another file: an application follows it, whichever of the two is mended."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.integration.harness import Clone, running
from tests.integration.sequences import push

ENVIRONMENT = """\
apiVersion: reconciler.dev/v1alpha1
kind: Environment
metadata: {name: prod}
spec: {namespace: web-prod}
"""
OF_A_FOLDER = """\
apiVersion: core.oam.dev/v1beta1
kind: Application
metadata: {name: web}
spec:
  components:
    - {name: pages, type: manifests, properties: {path: prod/pages}}
"""
PAGE = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: page}\ndata: {text: hello}\n"


@pytest.mark.parametrize(
    ("name", "broken"),
    [("prod/environment.yaml", ENVIRONMENT.replace("name: prod", "nme: prod")), ("prod/pages/page.yaml", None)],
    ids=["its environment file", "its folder of manifests"],
)
@pytest.mark.parametrize("new", [True, False], ids=["new", "known"])
async def test_rule_2_an_application_is_read_again_once_another_file_is_mended(tmp_path: Path, name: str, broken: str | None, new: bool) -> None:
    clone = Clone(tmp_path)
    good = {"prod/environment.yaml": ENVIRONMENT, "prod/web.yaml": OF_A_FOLDER, "prod/pages/page.yaml": PAGE}
    clone.push({"other.txt": "x"} if new else good)
    async with running(clone) as daemon:
        if not new:
            await daemon.synced("web", namespace="web-prod")
            clone.push({name: broken})
        else:
            clone.push({path: text for path, text in (good | {name: broken}).items() if text is not None})
        await daemon.until(lambda: any(problem["path"] == "prod/web.yaml" for problem in daemon.engine.reader.problems()), "the error is seen")
        await push(daemon, clone, {name: good[name]})
        status = await daemon.synced("web", namespace="web-prod")
        assert daemon.engine.reader.problems() == []
        assert not [condition for condition in status.conditions if condition.type == "ManifestInvalid" and condition.status == "True"]
