"""What is so now: of the daemon by its API, of git by the origin and the clone. Nothing is remembered but what no look can change."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from reconciler.cli.client import Client
from reconciler.cli.demonstration.folder import Folder
from reconciler.cli.errors import NotFoundError
from reconciler.dialects.registry import compile_file, dialects
from reconciler.model.application import Application
from reconciler.model.identity import AppKey
from reconciler.model.status import ApplicationStatus, GateView, History
from reconciler.revisions.digest import git_digest
from reconciler.source.git import OWN_MAIL, OWN_NAME
from reconciler.steps.catalog import STEP_TYPES

SHOP: Final = AppKey("shop", "shop")
PATH: Final = "shop/shop.yaml"
# Component to the kind of the object that runs its image; the object has the component's name.
WORKLOADS: Final = {"web": "deployment", "database": "statefulset"}

_TRIES: Final = 5


class Declared(msgspec.Struct, frozen=True):
    """The shop's manifest at the origin's head. `app` None: it declares none, or has errors. `digest` is the git digest."""

    text: str = ""
    app: Application | None = None
    digest: str = ""

    @property
    def images(self) -> dict[str, str]:
        return find_images(self.app.spec) if self.app is not None else {}


class Facts(msgspec.Struct, frozen=True):
    """
    `promised`: images that the running revision declares, `cluster`: those that the cluster's objects have, both by component.
    `own`: the daemon's own commit on the manifest, as a line of the log, empty while there is none. `behind`: the clone lacks it,
    or something else of the origin. `lines`: of the log, newest first. `metrics`: as Prometheus reads them.
    """

    applications: list[ApplicationStatus] = []
    history: History | None = None
    declared: Declared = Declared()
    promised: dict[str, str] = {}
    cluster: dict[str, str] = {}
    own: str = ""
    behind: bool = False
    lines: list[str] = []
    metrics: str = ""

    @property
    def shop(self) -> ApplicationStatus | None:
        return next((status for status in self.applications if status.key == SHOP), None)

    @property
    def gate(self) -> GateView | None:
        return self.shop.gate if self.shop is not None else None

    @property
    def running(self) -> str:
        """The name of the revision that was promoted last; empty while there is none."""
        return self.shop.running.revision if self.shop is not None and self.shop.running is not None else ""


def find_images(spec: Mapping[str, Any]) -> dict[str, str]:
    """Image by component, as far as the spec of an Application holds some."""
    listed = spec.get("components")
    components = [item for item in listed if isinstance(item, dict)] if isinstance(listed, list) else []
    properties = {str(item.get("name")): item.get("properties") for item in components}
    return {name: found["image"] for name, found in properties.items() if isinstance(found, dict) and isinstance(found.get("image"), str)}


class Observer:
    """Looks at one folder and its daemon. Raises CommandError and WorktreeError."""

    def __init__(self, folder: Folder, client: Client) -> None:
        self._folder, self._client = folder, client
        self._head, self._declared, self._own, self._lines = "", Declared(), "", [""]

    def look(self) -> Facts:
        """All of one moment: asked again where the shop moved on between the first answer and the last."""
        facts = self._ask()
        for _ in range(_TRIES):
            if facts.shop == next((status for status in self._client.applications() if status.key == SHOP), None):
                break
            facts = self._ask()
        return facts

    def _ask(self) -> Facts:
        self._read()
        applications = self._client.applications()
        behind = self._folder.lacks(self._head)
        facts = Facts(applications, declared=self._declared, own=self._own, behind=behind, lines=self._lines)
        try:
            history: History = self._client.decode(self._client.locate(SHOP, "history"), History)
            kept = self._client.revisions(SHOP)
        except NotFoundError:
            return facts
        spec = next((record.spec for record in kept if record.revision == facts.running), {})
        metrics = self._client.get("/metrics").decode("utf-8", "replace")
        return msgspec.structs.replace(facts, history=history, promised=find_images(spec), cluster=self._find_running(), metrics=metrics)

    def _read(self) -> None:
        """What git holds; read again only where the head moved."""
        head = self._folder.head
        if head == self._head:
            return
        tree = self._folder.tree(head)
        text = tree.read(PATH).decode("utf-8", "replace") if tree.oid(PATH) else ""
        result = compile_file(PATH, text, tree, dialects(STEP_TYPES))
        app = next((app for app in result.applications if app.key == SHOP), None)
        own = self._folder.log_lines("-1", "--fixed-strings", f"--author={OWN_NAME} <{OWN_MAIL}>", "--", PATH)
        self._declared = Declared(text, app, git_digest(app) if app is not None else "")
        self._own, self._lines, self._head = next(iter(own), ""), self._folder.log_lines("-10"), head

    def _find_running(self) -> dict[str, str]:
        found = {}
        for name, kind in WORKLOADS.items():
            for item in self._client.decode("/v1/objects", list[dict[str, Any]], kind=kind, namespace=SHOP.namespace, name=name):
                found[name] = next((str(each.get("image", "")) for each in item["spec"]["template"]["spec"].get("containers", ())), "")
        return found
