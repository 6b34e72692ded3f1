"""Contents of revisions, made once and read again: a small cache over the store, and what an application declares now."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Any, Literal

import msgspec

from reconciler.charts.archive import read_archive
from reconciler.engine.applications import Application
from reconciler.engine.content import ContentError
from reconciler.engine.index import Index
from reconciler.engine.observations import Identity
from reconciler.engine.store import Store
from reconciler.model.application import Application as Compiled
from reconciler.model.application import Component, Workflow
from reconciler.model.chart import Capabilities
from reconciler.model.identity import AppKey, JsonObject, ObjectRef
from reconciler.model.names import SHARD, is_ours
from reconciler.model.records import Content, RevisionRecord
from reconciler.render.protocol import Files, RenderContext, Renderer, RenderError
from reconciler.render.sealed import put_values
from reconciler.render.values import with_values

_KEPT = 256


class NoFiles:
    """Where a component is rendered again with inputs, the repository is not at hand: what needs files has no inputs."""

    def folder(self, path: str) -> dict[str, str]:
        raise RenderError(f"{path}: a component that takes inputs can't read files of the repository")

    def read(self, path: str) -> bytes:
        raise RenderError(f"{path}: a component that takes inputs can't read files of the repository")

    def tree(self, path: str) -> dict[str, bytes]:
        raise RenderError(f"{path}: a component that takes inputs can't read files of the repository")

    def archive(self, component: str) -> bytes:
        raise RenderError(f"{component}: a component that takes inputs can't be rendered from a chart")


class ChartFiles(NoFiles):
    """The one chart of a component that is rendered again, as its archive; where it lay in a folder of the repository, as that folder, too."""

    def __init__(self, archive: bytes) -> None:
        self._archive = archive

    def tree(self, path: str) -> dict[str, bytes]:
        return {f"{path}/{name}": data for name, data in read_archive(self._archive).items()}

    def archive(self, component: str) -> bytes:  # noqa: ARG002 - there is one
        return self._archive


class Contents:
    """A bounded cache. What it holds is immutable: nobody may change an object that it answers. `hits` and `misses` are counted."""

    def __init__(self, store: Store, renderer: Renderer, index: Index, known: Callable[[AppKey], Application | None]) -> None:
        self.store, self._renderer, self._index, self._known = store, renderer, index, known
        self._cache: OrderedDict[tuple[AppKey, str], Content] = OrderedDict()
        self.hits = self.misses = 0

    def clear(self) -> None:
        """Others may have made revisions of the same names meanwhile."""
        self._cache.clear()

    async def get(self, key: AppKey, revision: str) -> Content:
        """Raises ContentError."""
        found = self._cache.get((key, revision))
        if found is None:
            self.misses += 1
            found = await self.store.content(key, revision)
            self.put(key, revision, found)
        else:
            self.hits += 1
            self._cache.move_to_end((key, revision))
        return found

    async def workflow(self, key: AppKey, revision: str) -> Workflow:
        """Raises ContentError."""
        return (await self.get(key, revision)).application.workflow

    async def workflow_if_kept(self, key: AppKey, revision: str) -> Workflow:
        """The same; one without steps where what is stored of the revision is lost."""
        try:
            return await self.workflow(key, revision)
        except ContentError:
            return Workflow()

    def put(self, key: AppKey, revision: str, content: Content) -> None:
        self._cache[key, revision] = content
        while len(self._cache) > _KEPT:
            self._cache.popitem(last=False)

    async def objects(self, key: AppKey, revision: str, component: str) -> list[JsonObject]:
        """The stored objects of a component, without its inputs where it takes some."""
        return (await self.get(key, revision)).rendered.get(component, [])

    async def applied_objects(self, key: AppKey, revision: str, component: str, mark: str) -> list[JsonObject]:
        """The same as they were applied: `mark` names the parts of a component that took inputs. Raises ContentError."""
        if not mark:
            return await self.objects(key, revision, component)
        found: dict[str, list[JsonObject]] = msgspec.json.decode(await self.store.read_parts(key, mark))
        return found.get(component, [])

    async def render_with(self, key: AppKey, revision: str, component: str, values: Mapping[str, Any], archive: bytes) -> list[JsonObject]:
        """Renders with inputs, off the loop. `archive`: its chart, empty where it has none. Raises RenderError."""
        content = await self.get(key, revision)
        app, declared = content.application, content.application.component(component)
        files = ChartFiles(archive) if archive else NoFiles()
        objects = await asyncio.to_thread(self._render, with_values(declared, values), app, files, content.capabilities, revision)
        return put_values(declared.title, objects, content.sealed, content.salt)

    def render_all(self, app: Compiled, files: Files, capabilities: Capabilities, revision: str) -> dict[str, list[JsonObject]]:
        """All components, rendered at the commit of the revision of that display name. Raises RenderError.

        One that takes inputs is rendered without them, so that one knows its objects; it is rendered again when they are there,
        and left out where it makes no sense before.
        """
        with_inputs = take_inputs(app)
        rendered: dict[str, list[JsonObject]] = {}
        for component in app.components:
            try:
                rendered[component.id] = self._render(component, app, files, capabilities, revision)
            except RenderError:
                if component.id not in with_inputs:
                    raise
        return rendered

    def _render(self, component: Component, app: Compiled, files: Files, capabilities: Capabilities, revision: str) -> list[JsonObject]:
        try:
            return self._renderer.render(component, self.render_context(app, component, capabilities, revision), files)
        except RenderError as error:
            error.field = "spec.policies" if component.kind == "policy" else error.field
            raise

    @staticmethod
    def render_context(app: Compiled, component: Component, capabilities: Capabilities, revision: str) -> RenderContext:
        """What a component of the revision of that display name may know of all that is around it."""
        return RenderContext(
            app.name,
            component.namespace or app.namespace,
            app.environment.name,
            app.environment.values,
            capabilities,
            tuple(app.definitions),
            revision,
            {name: value for name, value in app.labels.items() if name != SHARD},
            {name: value for name, value in app.annotations.items() if not is_ours(name)},
        )

    def declared_now(self, key: AppKey) -> list[str] | None:
        """Packed refs of what an application's head declares; None while its head has no revision yet (it comes soon)."""
        record = self._record_now(key)
        return [] if record is None else None if record == "soon" else record.objects

    def shares_now(self, key: AppKey, ref: ObjectRef) -> bool | None:
        """Whether an application's head declares that object and lets others have it as well; None as above."""
        record = self._record_now(key)
        if record is None or record == "soon":
            return None if record else False
        return any(ObjectRef.unpack(packed).identity == ref.identity for packed in record.shared)

    def _record_now(self, key: AppKey) -> RevisionRecord | Literal["soon"] | None:
        """The revision of an application's head; None where it has none, and `soon` where it is not made yet."""
        entry, app = self._index.entries.get(key), self._known(key)
        if entry is None or app is None or (entry.missing and not entry.doubt):
            return None
        return next((record for record in reversed(app.records) if record.digest == entry.declared.digest), "soon")

    def declaring(self, refs: Collection[ObjectRef], keys: Iterable[AppKey]) -> Iterator[tuple[AppKey, set[Identity]]]:
        """Which of those applications declare some of the objects now, and which. Names are compared first: most declare none of them."""
        names, wanted = {ref.name for ref in refs}, {ref.identity for ref in refs}
        for key in keys:
            near = [packed for packed in self.declared_now(key) or () if packed.rpartition("|")[2] in names]
            found = wanted.intersection(ObjectRef.unpack(packed).identity for packed in near)
            if found:
                yield key, found

    def declares_now(self, key: AppKey, ref: ObjectRef) -> bool | None:
        """Whether an application's head declares that object; None as above."""
        declared = self.declared_now(key)
        return None if declared is None else any(ObjectRef.unpack(packed).identity == ref.identity for packed in declared)


def take_inputs(app: Compiled) -> set[str]:
    """Ids of the components that are rendered when what their steps take in is there."""
    return {component for step in app.workflow.steps if step.inputs for component in step.components}
