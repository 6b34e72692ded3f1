"""The manifest of an application in a clone, where it can't be known there what its types are."""

import msgspec
import pytest

from reconciler.cli.errors import ConflictError
from reconciler.cli.manifest import find_manifest
from reconciler.dialects.in_cluster import InCluster
from reconciler.dialects.registry import compile_file, dialects
from reconciler.revisions.digest import git_digest
from reconciler.steps.catalog import STEP_TYPES
from reconciler.steps.plugin import UncheckedStep
from tests.integration.harness import Clone
from tests.unit.api.fakes import waiting
from tests.unit.dialects.conftest import MemoryFiles

PATH = "apps/web.yaml"
TEXT = """\
apiVersion: core.oam.dev/v1beta1
kind: Application
metadata: {name: web, namespace: shop}
spec:
  components:
    - {name: web, type: site, properties: {image: nginx}}
"""


def test_a_type_that_only_the_cluster_defines_is_believed_of_what_the_daemon_has_accepted_alone(tmp_path):
    clone = Clone(tmp_path)
    clone.commit({PATH: TEXT})
    status = waiting("web", "shop", path=PATH)
    with pytest.raises(ConflictError, match="unknown component type site"):
        find_manifest(clone.path, status)
    accepted = compile_file(PATH, TEXT, MemoryFiles({}), dialects(STEP_TYPES, cluster=InCluster(unchecked=UncheckedStep))).applications[0]
    status = msgspec.structs.replace(status, desired=msgspec.structs.replace(status.desired, digest=git_digest(accepted)))
    edited = find_manifest(clone.path, status).annotate("reconciler.dev/suspend", "audit")
    assert "audit" in edited.text
    assert edited.digest == git_digest(accepted)
