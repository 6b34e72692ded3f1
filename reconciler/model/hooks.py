"""Helm's hooks: objects of a chart that are applied before or after the others, by weight, each wave complete before the next."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby
from typing import Any, Final, NamedTuple

from reconciler.model.identity import JsonObject
from reconciler.model.names import ANNOTATION_REVISION

HOOK: Final = "helm.sh/hook"
WEIGHT: Final = "helm.sh/hook-weight"
POLICY: Final = "helm.sh/hook-delete-policy"
MOST_WAVES: Final = 20
_UPGRADE: Final = frozenset({"pre-upgrade", "post-upgrade"})


class WavesError(ValueError):
    """More weights than a run can keep the results of."""


class Hook(NamedTuple):
    """`events` and `policies`: as Helm names them; `weight`: lighter ones go first."""

    events: frozenset[str]
    weight: int
    policies: frozenset[str] = frozenset()


def hook_of(obj: JsonObject) -> Hook | None:
    """None for an object that is no hook. Total: a weight that is no number is 0, as for Helm."""
    metadata = obj.get("metadata")
    annotations = metadata.get("annotations") if isinstance(metadata, dict) else None
    annotations = annotations if isinstance(annotations, dict) else {}
    events, policies = (_words(annotations.get(name)) for name in (HOOK, POLICY))
    try:
        weight = int(str(annotations.get(WEIGHT, "0")))
    except ValueError:
        weight = 0
    return Hook(events, weight, policies) if events else None


def is_hook_pod(obj: JsonObject) -> bool:
    """Whether it is a Pod that is to do its work and end, and not one that serves."""
    return obj.get("kind") == "Pod" and hook_of(obj) is not None


def runs_again(obj: JsonObject, revision: str) -> bool:
    """Whether a Pod that was applied for that revision is to run for the one that it names now. Nothing in a Pod could be changed to that end."""
    hook = hook_of(obj) if obj["kind"] == "Pod" else None
    return hook is not None and bool(hook.events & _UPGRADE) and obj["metadata"]["annotations"].get(ANNOTATION_REVISION) != revision


def _words(value: object) -> frozenset[str]:
    return frozenset(word.strip() for word in str(value or "").split(",") if word.strip())


def plan_waves(objects: Iterable[JsonObject], revision: str, *, first: bool, restore: bool) -> list[list[JsonObject]]:
    """
    The objects of a chart in the order they are applied. `first`: nothing of the application runs yet, so that hooks of an installation go,
    else those of an upgrade; with `restore` none does, as nothing is upgraded. Jobs of an upgrade are another one for each revision; of Pods
    `runs_again` says so.

    Raises WavesError for more than 20 waves.
    """
    plain: list[JsonObject] = []
    hooks: list[tuple[Hook, JsonObject]] = []
    for obj in objects:
        hook = hook_of(obj)
        if hook is None:
            plain.append(obj)
        elif not restore:
            hooks.append((hook, _renewed(obj, revision) if hook.events & _UPGRADE else obj))
    when = "install" if first else "upgrade"
    before, after = (_by_weight(hooks, f"{side}-{when}") for side in ("pre", "post"))
    definitions = [obj for obj in plain if obj["kind"] == "CustomResourceDefinition"] if before else []
    rest = [obj for obj in plain if not definitions or obj["kind"] != "CustomResourceDefinition"]
    waves = [wave for wave in (definitions, *before, rest, *after) if wave]
    if len(waves) > MOST_WAVES:
        raise WavesError(f"its hooks have more than {MOST_WAVES - 1} weights")
    return waves or [[]]


def _by_weight(hooks: list[tuple[Hook, JsonObject]], event: str) -> list[list[JsonObject]]:
    chosen = sorted(((hook, obj) for hook, obj in hooks if event in hook.events), key=lambda item: item[0].weight)
    return [[obj for _, obj in group] for _, group in groupby(chosen, key=lambda item: item[0].weight)]


def _renewed(obj: JsonObject, revision: str) -> JsonObject:
    """A Job that is run again: its pods name the revision, and a Job whose pods are others is made anew."""
    spec = obj.get("spec")
    template: Any = spec.get("template") if isinstance(spec, dict) else None
    if obj["kind"] != "Job" or not isinstance(spec, dict) or not isinstance(template, dict):
        return obj
    told = dict(template.get("metadata") or {})
    told["annotations"] = {**(told.get("annotations") or {}), ANNOTATION_REVISION: revision}
    return {**obj, "spec": {**spec, "template": {**template, "metadata": told}}}
