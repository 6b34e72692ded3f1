"""The example repository is what a new user starts from: all of it has to work."""

from pathlib import Path

import pytest

from reconciler.dialects.documents import parse
from reconciler.dialects.registry import dialects
from reconciler.render.engine import ComponentRenderer
from reconciler.render.protocol import RenderContext
from reconciler.steps.catalog import STEP_TYPES

TOP = Path(__file__).parents[3] / "examples" / "repo"


class Disk:
    """The example as it stands on disk."""

    def oid(self, path):
        return path if (TOP / path).is_file() else None

    def folder(self, path):
        return {str(file.relative_to(TOP)): "oid" for file in (TOP / path).rglob("*") if file.is_file()}

    def read(self, path):
        return (TOP / path).read_bytes()


def applications():
    found = {}
    for path in [
        "shop/shop.yaml",
        "rollout/clustermanage.yaml",
        "rollout/orders.yaml",
        *(f"environments/{name}/web.yaml" for name in ("dev", "staging", "production")),
    ]:
        (document,), problems = parse(path, (TOP / path).read_bytes())
        assert problems == []
        dialect = next(dialect for dialect in dialects(STEP_TYPES) if dialect.recognises(document))
        compiled = dialect.compile(document, Disk())
        assert compiled.problems == []
        found[path] = compiled.application
    return found


def objects(app):
    context = RenderContext(app.name, app.namespace, app.environment.name, app.environment.values)
    return [obj for component in app.components for obj in ComponentRenderer().render(component, context, Disk())]


def test_each_application_has_its_own_identity_and_namespace():
    assert sorted(str(app.key) for app in applications().values()) == [
        "cluster-daily/clustermanage",
        "cluster-daily/orders",
        "shop/shop",
        "web-dev/web",
        "web-production/web",
        "web-staging/web",
    ]


@pytest.mark.parametrize("path", ["shop/shop.yaml", "rollout/clustermanage.yaml", "rollout/orders.yaml", "environments/dev/web.yaml"])
def test_every_component_of_the_example_renders_into_its_applications_namespace(path):
    app = applications()[path]
    assert {obj["metadata"]["namespace"] for obj in objects(app)} == {app.namespace}


def test_the_canary_changes_test_component_and_real_one_by_one_tag():
    sets = [obj for obj in objects(applications()["rollout/clustermanage.yaml"]) if obj["kind"] == "StatefulSet"]
    assert [obj["metadata"]["name"] for obj in sets] == ["clustermanage-test", "clustermanage-a"]
    assert {obj["spec"]["template"]["spec"]["containers"][0]["image"] for obj in sets} == {"nginx:1.27"}


def test_environments_share_a_folder_so_that_one_alone_cannot_be_written_back():
    apps = applications()
    shared = [[ref.path for ref in apps[f"environments/{name}/web.yaml"].references] for name in ("dev", "staging", "production")]
    assert shared == [["environments/shared/pages.yaml"]] * 3
    gates = {path: [step.name for step in app.workflow.steps if step.type == "suspend"] for path, app in apps.items() if path.startswith("env")}
    assert gates == {"environments/dev/web.yaml": [], "environments/staging/web.yaml": [], "environments/production/web.yaml": ["approve"]}
