"""What the read API and the command line may know: the engine's `Reader` (model/status.py). Everything is masked."""

from __future__ import annotations

import msgspec

from reconciler.cluster.masking import mask
from reconciler.cluster.protocol import ClusterError, NotFoundError
from reconciler.engine.context import Context
from reconciler.engine.graph import list_runs, show_run
from reconciler.engine.history import gather_history, list_commits, read_commits
from reconciler.engine.planning import Planner
from reconciler.engine.requests import Requests
from reconciler.model.identity import AppKey, JsonObject, ObjectRef
from reconciler.model.problem import Problem
from reconciler.model.status import ApplicationStatus, Attention, Fault, History, Leader
from reconciler.model.text import one_line
from reconciler.model.workflow import RunLine, WorkflowView
from reconciler.revisions.diff import diff_objects
from reconciler.revisions.masking import mask_manifests

_MOST_OBJECTS = 5000
_SILENCE = 60.0


class EngineReader:
    """Answers from memory where it can; `ready` and `alive` are set by the engine's loops. `unled`: as in `Neighbours.problems`."""

    def __init__(self, context: Context, planner: Planner, requests: Requests) -> None:
        self._context, self._planner, self._requests = context, planner, requests
        self.unread: Fault | None = None
        self.unled: list[Problem] = []
        self.started = False
        self.reason = "state is being loaded"
        self.beats: dict[str, float] = {}

    def applications(self) -> list[ApplicationStatus]:
        apps = self._context.apps
        return [status for key in sorted(apps) if (status := apps[key].status) is not None]

    def application(self, key: AppKey) -> ApplicationStatus | None:
        app = self._context.apps.get(key)
        return app.status if app is not None else None

    async def diff(self, key: AppKey) -> JsonObject | None:
        app, entry = self._context.apps.get(key), self._context.index.entries.get(key)
        if app is None:
            return None
        running = app.running_record()
        digest = entry.declared.digest if entry is not None else ""
        desired = next((record for record in reversed(app.records) if record.digest == digest), None)
        old = await self._objects_of(key, running.name) if running is not None else []
        if desired is not None:
            new = await self._objects_of(key, desired.name)
        else:
            new = await self._planner.render_desired(app) if entry is not None and entry.valid else old
        return {
            "application": key.name,
            "namespace": key.namespace,
            "from": running.name if running is not None else "",
            "to": desired.name if desired is not None else digest[:12],
            "objects": diff_objects(old, new),
        }

    async def compare(self, key: AppKey, old: str, new: str) -> list[JsonObject]:
        """How the objects of two kept revisions differ, as in `diff`, and whether each is `applied`: in the cluster as in `new`, or gone
        where that has it no more. An empty name is a revision without objects."""
        app = self._context.apps[key]
        there = {one_line(item.object): item.revision for item in app.items.values() if item.digest}
        changes = diff_objects(*[await self._objects_of(key, name) if name else [] for name in (old, new)])
        return [{**change, "applied": there.get(change["object"]) == (None if change["change"] == "removed" else new)} for change in changes]

    def rollback_target(self, key: AppKey) -> str:
        """The revision that a rollback of the open run would go back to; empty: there is none, and it would fail."""
        app = self._context.apps.get(key)
        run = app.open_run() if app is not None else None
        return app.rollback_target(run) if app is not None and run is not None else ""

    async def _objects_of(self, key: AppKey, revision: str) -> list[JsonObject]:
        rendered = (await self._context.contents.get(key, revision)).rendered
        return list({ObjectRef.of(obj).identity: obj for objects in rendered.values() for obj in objects}.values())

    async def revisions(self, key: AppKey) -> list[JsonObject] | None:
        app = self._context.apps.get(key)
        if app is None:
            return None
        found = []
        for record, short in zip(reversed(app.records), reversed(app.short_records()), strict=True):
            content = await self._context.contents.get(key, record.name)
            found.append(
                {
                    "revision": record.name,
                    "digest": record.digest,
                    "promoted": short.promoted,
                    "rejected": short.rejected,
                    "commit": record.commit,
                    "spec": mask_manifests(content.application.spec),
                }
            )
        return found

    async def history(self, key: AppKey) -> History | None:
        app = self._context.apps.get(key)
        if app is None:
            return None
        ids = list_commits(app)
        commits = await self._context.thread.call(lambda source: read_commits(source, ids)) if ids else {}
        return gather_history(app, commits)

    def workflows(self) -> list[RunLine]:
        return list_runs(self._context)

    async def workflow(self, key: AppKey, run: str) -> WorkflowView | None:
        return await show_run(self._context, key, run)

    async def reconcile(self, key: AppKey, seconds: float) -> Attention | None:
        return await self._requests.wait(key, seconds)

    async def objects(self, kind: str, namespace: str, name: str) -> list[JsonObject]:
        cluster = self._context.cluster
        served = (await cluster.lookup(kind)).served
        try:
            if name and (namespace or not (await cluster.kind(served)).namespaced):
                return [mask(await cluster.get(ObjectRef(served.api_version, served.kind, namespace, name)))]
            found: list[JsonObject] = []
            page = ""
            while len(found) < _MOST_OBJECTS:
                part = await cluster.list(served, namespace, page=page)
                found += [mask(obj) for obj in part.items if name in ("", obj["metadata"]["name"])]
                page = part.next
                if not page:
                    break
        except NotFoundError:
            return []
        except ClusterError as error:
            raise LookupError(str(error)) from error
        return found

    def leader(self) -> Leader:
        lead = self._context.lead
        return Leader(lead.leads and self._context.acting, lead.leader, lead.epoch, self._context.shards.own)

    def ready(self) -> tuple[bool, str]:
        return self.started, "" if self.started else self.reason

    def alive(self) -> tuple[bool, str]:
        now = self._context.clock.monotonic()
        for loop, beat in self.beats.items():
            if now - beat > _SILENCE:
                return False, f"loop {loop} has not moved for {now - beat:.0f} s"
        return True, ""

    def fault(self) -> Fault | None:
        return self.unread

    def problems(self) -> list[JsonObject]:
        found: list[JsonObject] = [msgspec.to_builtins(problem) for problem in [*self._context.index.problems(), *self.unled]]
        return [{"object": "", "field": "", "severity": "error", **problem} for problem in found]
