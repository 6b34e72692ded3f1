"""
What definitions say of the health of what they made (KubeVela's `spec.status`), asked where health is.

A policy is asked again when one of the objects of its component is another than when it was asked last (rule 10), in the turn of its application:
what it reads is read then, and nothing of it is kept but the answer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any, Final, NamedTuple

from reconciler.cluster.health import unsettled
from reconciler.cluster.masking import mask
from reconciler.cluster.protocol import Cluster, ClusterError, KindUnknownError, NotFoundError
from reconciler.engine.applications import Application
from reconciler.engine.content import ContentError
from reconciler.engine.contents import Contents
from reconciler.engine.observations import Identity, Observations
from reconciler.engine.reach import Reach
from reconciler.model.application import Application as Compiled
from reconciler.model.application import Component
from reconciler.model.canonical import canonical
from reconciler.model.health_policy import HealthPolicy, Verdict, read_verdict
from reconciler.model.identity import AppKey, JsonObject, ObjectRef
from reconciler.model.names import LABEL_TRAIT, TRAIT_OF, TRAIT_RESOURCE
from reconciler.model.text import one_line
from reconciler.render.defined import AUXILIARY, template_context

Judge = Callable[[str], list[dict[str, Any]] | str]
"""How the subjects of a request are, in order; text: why nobody can tell. It blocks."""
_AGAIN: Final = 30.0
_UNSEEN: Final = frozenset({"managedFields", "resourceVersion"})  # a change of these alone is none that a policy could read


class _Source(NamedTuple):
    """By which revision a component was applied, with which inputs (`mark`), and its objects as they are served."""

    revision: str
    mark: str
    refs: tuple[ObjectRef, ...]


class _Subject(NamedTuple):
    """`outputs`: what its template made, by the names that it gave; `judged`: whose health it tells."""

    policy: HealthPolicy
    parameter: dict[str, Any]
    outputs: dict[str, ObjectRef]
    judged: tuple[ObjectRef, ...]


class _Judged(NamedTuple):
    """A component that has policies. `versions`: of its objects when they were asked, in vain where it is empty."""

    source: _Source
    context: dict[str, Any]
    output: ObjectRef | None
    subjects: tuple[_Subject, ...]
    versions: tuple[int, ...] = ()


class Verdicts:
    """What was answered stands in the observations, over our own rules for these objects."""

    def __init__(
        self, contents: Contents, observations: Observations, reach: Reach, judge: Judge, hint_after: Callable[[AppKey, float], None]
    ) -> None:
        self._contents, self._observations, self._reach, self._judge, self._hint_after = contents, observations, reach, judge, hint_after
        self._judged: dict[str, dict[str, _Judged]] = {}

    async def ask(self, app: Application) -> None:
        """Asks the policies of that application of which an object has changed."""
        uid = app.mirror.uid
        sources = _sources(app)
        if not sources and uid not in self._judged:
            return
        known = self._judged.pop(uid, {})
        found: dict[str, _Judged] = {}
        told: dict[Identity, tuple[str, str]] = {}
        for component, source in sources.items():
            judged = known.get(component)
            if judged is None or judged.source != source:
                judged = await self._follow(app, component, source)
            if judged.subjects:
                told |= {ref.identity: ("", "") for ref in source.refs}  # a change of any of them is told
                versions = tuple(self._version(ref) for ref in source.refs)
                if versions != judged.versions:
                    self._observations.overrule(uid, {**told, **self._observations.overruled(uid)})  # also of one while they are asked
                    judged = judged._replace(versions=versions if await self._ask(app, judged, told) else ())
                else:
                    before = self._observations.overruled(uid)
                    told |= {ref.identity: before[ref.identity] for ref in source.refs if ref.identity in before}
            found[component] = judged
        self._observations.overrule(uid, told)
        if found:
            self._judged[uid] = found

    def drop(self, uid: str) -> None:
        """The application of that mirror is another daemon's, or gone."""
        self._judged.pop(uid, None)
        self._observations.overrule(uid, {})

    def _version(self, ref: ObjectRef) -> int:
        seen = self._observations.get(ref)
        return seen.version if seen is not None else 0

    async def _follow(self, app: Application, component: str, source: _Source) -> _Judged:
        try:
            content = await self._contents.get(app.key, source.revision)
            objects = await self._contents.applied_objects(app.key, source.revision, component, source.mark)
        except ContentError:  # that is said elsewhere, and our own rules hold
            return _Judged(source, {}, None, ())
        declared = next((one for one in content.application.components if one.id == component), None)
        if declared is None:
            return _Judged(source, {}, None, ())
        parts = _Parts(objects, source.refs)
        subjects = tuple(_subjects(content.application, declared, parts))
        context = template_context(declared, self._contents.render_context(content.application, declared, content.capabilities, source.revision))
        return _Judged(source, context, parts.output, subjects)

    async def _ask(self, app: Application, judged: _Judged, told: dict[Identity, tuple[str, str]]) -> bool:
        """False where nobody could tell: it is tried again after a while."""
        try:
            live = {ref: await _read(self._reach.of(app), ref) for ref in _read_by(judged)}
        except ClusterError as error:
            return self._fail(app, judged, told, f"its objects can't be read: {one_line(error, 200)}")
        request = {
            "context": {**judged.context, "output": live.get(judged.output) if judged.output is not None else None},
            "subjects": [_ask_of(subject, live) for subject in judged.subjects],
        }
        answer = await asyncio.to_thread(self._judge, canonical(request).decode("utf-8", "replace"))
        if isinstance(answer, str):
            return self._fail(app, judged, told, f"its health can't be told: {answer}")
        for subject, one in zip(judged.subjects, answer, strict=True):
            verdict = read_verdict(one)
            for ref in subject.judged:
                _note(told, ref, verdict, live.get(ref))
        return True

    def _fail(self, app: Application, judged: _Judged, told: dict[Identity, tuple[str, str]], words: str) -> bool:
        """Nothing is concluded: who waits for their health goes on waiting."""
        told |= {ref.identity: ("Progressing", words) for subject in judged.subjects if subject.policy.health for ref in subject.judged}
        self._hint_after(app.key, _AGAIN)
        return False


class _Parts:
    """The objects of a component, by who made them."""

    def __init__(self, objects: list[JsonObject], refs: tuple[ObjectRef, ...]) -> None:
        served = {(ref.group, ref.kind, ref.name): ref for ref in refs}
        self.output: ObjectRef | None = None
        self.by_trait: dict[str, dict[str, ObjectRef]] = {}
        for obj in objects:
            rendered = ObjectRef.of(obj)
            ref = rendered if rendered in refs else served.get((rendered.group, rendered.kind, rendered.name))
            labels = obj["metadata"].get("labels") or {}
            trait = str(labels.get(TRAIT_OF) or labels.get(LABEL_TRAIT) or "")
            if ref is None:
                continue
            if not trait and self.output is None:
                self.output = ref
            else:
                self.by_trait.setdefault(trait or AUXILIARY, {})[str(labels.get(TRAIT_RESOURCE) or ref.name)] = ref


def _subjects(app: Compiled, component: Component, parts: _Parts) -> Iterator[_Subject]:
    """The component's policy tells of all that its own template made, a trait's of what the trait made; where that is nothing, of the workload."""
    main = () if parts.output is None else (parts.output,)
    definition = app.definition(component.kind, component.type) if component.defined else None
    if definition is not None and definition.health:
        own = parts.by_trait.get(AUXILIARY, {})
        yield _Subject(definition.health, component.properties, own, (*main, *own.values()))
    for trait in component.traits:
        found = app.definition("trait", trait.type)
        if found is not None and found.health:
            made = parts.by_trait.get(trait.type, {})
            yield _Subject(found.health, trait.properties, made, tuple(made.values()) or main)


def _sources(app: Application) -> dict[str, _Source]:
    """Of each component, the newest revision that applied it, if that has policies; what was applied just now stands in results."""
    numbers = {record.name: record.number for record in app.records if record.judged}
    if not numbers:
        return {}
    newest: dict[str, tuple[int, str, str]] = {}
    refs: dict[tuple[str, str, str], list[ObjectRef]] = {}
    for item in app.items.values():
        if item.component:
            refs.setdefault((item.component, item.revision, item.content), []).append(item.object)
            newest[item.component] = max(newest.get(item.component, (0, "", "")), (numbers.get(item.revision, 0), item.revision, item.content))
    found = {name: _Source(revision, mark, tuple(sorted(refs[name, revision, mark]))) for name, (number, revision, mark) in newest.items() if number}
    run = app.open_run()
    for result in app.results.values() if run is not None else ():
        component = str(result.value.get("component_id", "")) if result.ok else ""
        found.pop(component, None)  # what the one before it said of health does not hold for what was applied now
        if component and run is not None and run.revision in numbers:
            applied = tuple(sorted(ObjectRef.unpack(item["ref"]) for item in result.value.get("objects") or []))
            found[component] = _Source(run.revision, str(result.value.get("content", "")), applied)
    return found


def _read_by(judged: _Judged) -> set[ObjectRef]:
    refs = {ref for subject in judged.subjects for ref in (*subject.outputs.values(), *subject.judged)}
    return refs | ({judged.output} if judged.output is not None else set())


async def _read(cluster: Cluster, ref: ObjectRef) -> JsonObject | None:
    """The object as a policy may see it (rule 12); None where it is not there. Raises ClusterError."""
    try:
        live = mask(await cluster.get(ref))
    except (NotFoundError, KindUnknownError):
        return None
    return {**live, "metadata": {name: value for name, value in live["metadata"].items() if name not in _UNSEEN}}


def _ask_of(subject: _Subject, live: dict[ObjectRef, JsonObject | None]) -> dict[str, Any]:
    policy = subject.policy
    outputs = {name: live[ref] for name, ref in subject.outputs.items() if live[ref] is not None}
    texts = {"healthPolicy": policy.health, "customStatus": policy.message, "details": policy.details}
    return {**texts, "parameter": subject.parameter, "outputs": outputs}


def _note(told: dict[Identity, tuple[str, str]], ref: ObjectRef, verdict: Verdict, live: JsonObject | None) -> None:
    """Of several that tell of one object the one counts that is not healthy. What is not there, goes, or was not seen yet by its controller, stands
    before every policy."""
    if live is None or unsettled(live) is not None:
        return
    status = "" if verdict.healthy is None else verdict.status
    before = told[ref.identity]
    if before[0] != "Progressing":
        told[ref.identity] = (status or before[0], verdict.words or before[1])
