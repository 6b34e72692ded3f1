"""docs/manifests.md and docs/steps.md name every component type, trait, property, step type, parameter and annotation that there is."""

import re
from pathlib import Path

import pytest

from reconciler.dialects.catalog import COMPONENT_TYPES, MICROSERVICE
from reconciler.dialects.kubevela_policies import POLICY_TYPES
from reconciler.dialects.shapes import Record
from reconciler.dialects.traits import TRAITS
from reconciler.model import names
from reconciler.steps.catalog import STEP_TYPES

DOCS = Path(__file__).parents[2] / "docs"
PAGE = "".join((DOCS / page).read_text() for page in ("manifests.md", "steps.md", "helm.md"))
WORDS = set(re.findall(r"[A-Za-z0-9./<>_-]+", PAGE))


@pytest.mark.parametrize("kind", [*COMPONENT_TYPES, *TRAITS, *POLICY_TYPES, *STEP_TYPES])
def test_every_type_is_documented(kind: str) -> None:
    assert f"`{kind}`" in PAGE


@pytest.mark.parametrize(("kind", "shape"), [*COMPONENT_TYPES.items(), *TRAITS.items(), *POLICY_TYPES.items(), ("K8S_MICROSERVICE", MICROSERVICE)])
def test_every_property_is_documented(kind: str, shape: object) -> None:
    for field in shape.fields if isinstance(shape, Record) else ():
        assert any(word == field or word.startswith(f"{field}.") for word in WORDS), f"{kind}: {field}"


@pytest.mark.parametrize("name", STEP_TYPES)
def test_every_parameter_of_a_step_is_documented(name: str) -> None:
    row = next(line for line in PAGE.splitlines() if line.startswith(f"| `{name}` |"))
    for parameter in STEP_TYPES[name].params:
        assert f"`{parameter}" in row, f"{name}: {parameter}"


def test_every_annotation_and_label_is_documented() -> None:
    known = [
        value for name, value in vars(names).items() if name.isupper() and isinstance(value, str) and re.match(r"[a-z.]*reconciler\.dev/", value)
    ]
    for annotation in known:
        if annotation not in (names.API_VERSION, names.REQUESTED_AT):
            assert annotation in PAGE, annotation
