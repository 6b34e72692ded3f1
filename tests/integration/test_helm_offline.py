"""Rule 13f: a simulation makes no connection; charts of the repository are rendered, and of others it is said that they are not fetched."""

from __future__ import annotations

from pathlib import Path

import pytest

from reconciler.simulation.simulate import Request, simulate
from tests.charts import chart_files
from tests.integration.harness import Clone
from tests.integration.helming import app

pytestmark = pytest.mark.usefixtures("renderers")

TEMPLATE = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: {{ .Release.Name }}}\n"


def test_rule_13f_a_simulation_fetches_no_chart_and_renders_those_of_the_repository(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    local = app("", name="local").replace("url: '', chart: web, version: '1.x'", "path: charts/web")
    files: dict[str, str | None] = {
        f"charts/web/{path}": str(text) for path, text in chart_files("web", "1.0.0", {"templates/a.yaml": TEMPLATE}).items()
    }
    clone.push({"web.yaml": app("http://127.0.0.1:9/charts"), "local.yaml": local, **files})
    report = simulate(Request(str(clone.origin), "main"))
    told = {found.application: found for found in report.applications}
    assert [change.object for change in told["local"].changes] == ["ConfigMap default/local"]
    assert "chart web 1.x of http://127.0.0.1:9/charts is not fetched: no connection is made here" in told["web"].message
