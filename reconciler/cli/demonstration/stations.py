"""
The stations of the demo: which one is next, what to do there, and whether it was really reached. Pure.

All follows from the facts of one look, so that a demo can be left, resumed, and taken off the path at any time.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Callable
from typing import Any, Final, Literal, NamedTuple

from reconciler.cli.demonstration.facts import PATH, SHOP, Facts
from reconciler.model.run import Phase
from reconciler.model.status import ApplicationStatus, RunHistory
from reconciler.source.edit import EditError, set_annotation, set_value

# Of the newest run: behind one that was rolled back comes the run that restores.
_MOVING: Final = (Phase.PENDING, Phase.RUNNING, Phase.WAITING, Phase.ROLLING_BACK, Phase.ROLLED_BACK)
_OWING: Final = ("Owed", "Built")


class Step(NamedTuple):
    """
    An edit of the shop's manifest and the commit that it becomes. `command`: words of the `reconciler` command that makes the same
    commit, none where no command does. `pull`: the clone has to catch up first.
    """

    before: str
    after: str
    message: str
    command: tuple[str, ...] = ()
    pull: bool = False


class Station(NamedTuple):
    """
    `reached`: whether it lies behind. `lacking`: what the cluster, git or the metrics do not show yet although it is reached, as a
    sentence, empty where all is there. `verb`: what is to be decided at the gate there; without a gate, `component` gets a new image.
    """

    name: str
    title: str
    reached: Callable[[Facts], bool]
    lacking: Callable[[Facts], str]
    component: str = ""
    verb: Literal["", "continue", "rollback"] = ""


def find_station(facts: Facts) -> Station:
    """The first that is not reached; the last one once all are."""
    return next((station for station in STATIONS if not station.reached(facts)), STATIONS[-1])


def find_step(station: Station, facts: Facts) -> Step | str:
    """What a person does there; where nothing is to be done, or not yet, the reason if there is one to tell."""
    shop, declared = facts.shop, facts.declared
    if not station.component or shop is None or shop.desired is None or declared.app is None or declared.digest != shop.desired.digest:
        return ""
    gate = facts.gate
    try:
        if gate is None:
            return "" if _is_moving(facts) else _change_image(station.component, facts)
        if not station.verb or declared.app.annotations.get(gate.key) in (gate.continue_, gate.rollback, gate.end):
            return ""
        value = gate.continue_ if station.verb == "continue" else gate.rollback
        after = set_annotation(declared.text, declared.app.index, gate.key, value)
    except EditError as error:
        return f"{PATH} cannot be edited in place: {error}. Mend it, commit and push."
    word, command = ("Approve", "approve") if station.verb == "continue" else ("Roll back", "rollback")
    # The first one by git alone: the command does nothing that git does not.
    words = (command, SHOP.name, "--push") if facts.running else ()
    return Step(declared.text, after, f"{word} {gate.revision}", words, facts.behind)


def bump(image: str) -> str:
    """An image of the next version: the last number of the tag grows by one."""
    name, colon, tag = image.rpartition(":")
    found = re.search(r"(\d{1,9})(?!.*\d)", tag) if colon else None
    if found is None:
        return f"{image}:1" if not colon else f"{image}.1"
    return f"{name}:{tag[: found.start()]}{int(found[1]) + 1}{tag[found.end() :]}"


def _change_image(component: str, facts: Facts) -> Step | str:
    """Raises EditError."""
    declared = facts.declared
    app, image = declared.app, declared.images.get(component)
    if app is None or image is None:
        return f"{PATH} declares no image of a component {component} any more. Put it back, commit and push."
    spec: dict[str, Any] = copy.deepcopy(app.spec)
    properties = next(item["properties"] for item in spec["components"] if item["name"] == component)
    properties["image"] = bump(image)
    after = set_value(declared.text, app.index, app.spec, spec)
    return Step(declared.text, after, f"{SHOP.name}: {properties['image']}", pull=facts.behind)


def _is_moving(facts: Facts) -> bool:
    """Whether the daemon is at work on the shop, or still owes git a commit."""
    owed = any(run.write_back is not None and run.write_back.state in _OWING for run in _runs(facts))
    return owed or facts.shop is None or _moves(facts.shop)


def _moves(status: ApplicationStatus) -> bool:
    """Whether its run is still to come, or under way."""
    return status.run is None or status.run.phase in _MOVING


def _runs(facts: Facts) -> list[RunHistory]:
    return [run for revision in facts.history.revisions for run in revision.runs] if facts.history is not None else []


def _promoted(facts: Facts) -> int:
    return sum(revision.promoted for revision in facts.history.revisions) if facts.history is not None else 0


def _waits(facts: Facts) -> bool:
    """Whether a newer revision than the running one waits at a gate, or is on its way from there: the decision is being carried out."""
    if facts.gate is not None:
        return facts.running not in ("", facts.gate.revision)
    run = facts.shop.run if facts.shop is not None else None
    return run is not None and (bool(run.decisions) or run.kind == "restore") and run.phase in _MOVING


def _rolled_back(facts: Facts) -> bool:
    """Whether the shop was rolled back, and is back."""
    back = any(run.phase == Phase.ROLLED_BACK and run.restored_by for run in _runs(facts))
    return bool(facts.own) or (back and facts.gate is None and facts.cluster == facts.promised)


# --- what must be seen besides


def _lack_start(facts: Facts) -> str:
    if facts.shop is None:
        return f"{SHOP} is not there"
    moving = [str(status.key) for status in facts.applications if status.sync != "Synced" and status.gate is None and _moves(status)]
    return f"not there yet: {', '.join(moving)}" if moving else ""


def _lack_promotion(facts: Facts) -> str:
    shop = facts.shop
    if shop is None or shop.sync != "Synced" or shop.health != "Healthy":
        return f"{SHOP} is not Synced and Healthy"
    return _lack_images(facts, "web", "database")


def _lack_images(facts: Facts, *components: str) -> str:
    different = [name for name in components if facts.cluster.get(name) != facts.promised.get(name)]
    return f"the cluster does not run the image that {facts.running} declares for: {', '.join(different)}" if different else ""


def _lack_change(facts: Facts) -> str:
    if facts.declared.images.get("web") == facts.promised.get("web"):
        return "git declares the same image as before"
    return _lack_images(facts, "web")


def _lack_mistake(facts: Facts) -> str:
    image = facts.declared.images.get("database")
    if image == facts.promised.get("database"):
        return "git declares the same image as before"
    return "" if facts.cluster.get("database") == image else f"the cluster's database does not run {image}"


def _lack_rollback(facts: Facts) -> str:
    return _lack_images(facts, "web", "database")


def _lack_record(facts: Facts) -> str:
    if facts.declared.images != facts.promised:
        return f"{PATH} at the tip of the origin does not declare the images of {facts.running}"
    return _lack_promotion(facts)


def _lack_metrics(facts: Facts) -> str:
    labels = (f'namespace="{SHOP.namespace}"', f'name="{SHOP.name}"', f'revision="{facts.running}"', 'sync="Synced"', 'health="Healthy"')
    for line in find_metrics(facts):
        if line.startswith("reconciler_application_info") and all(label in line for label in labels):
            return ""
    return f"/metrics does not say that {SHOP} runs {facts.running}, Synced and Healthy"


def find_metrics(facts: Facts) -> list[str]:
    """The lines of the metrics that tell of the shop's revision and of what was decided."""
    lines = facts.metrics.splitlines()
    info = [line for line in lines if line.startswith("reconciler_application_info{") and f'namespace="{SHOP.namespace}"' in line]
    return info + [line for line in lines if line.startswith("reconciler_decisions_total{") and not line.endswith(" 0.0")]


STATIONS: Final = (
    Station("start", "What runs", lambda facts: _promoted(facts) >= 1 or not _lack_start(facts), _lack_start),
    Station("first", "A commit promotes", lambda facts: _promoted(facts) >= 1, _lack_promotion, "web", "continue"),
    Station("change", "Change a line, commit and push", lambda facts: _promoted(facts) >= 2 or _waits(facts), _lack_change, "web"),
    Station("promote", "The new revision waits at its gate", lambda facts: _promoted(facts) >= 2, _lack_promotion, "web", "continue"),
    Station(
        "mistake",
        "A change that is no good",
        lambda facts: _rolled_back(facts) or (_promoted(facts) >= 2 and _waits(facts)),
        _lack_mistake,
        "database",
    ),
    Station("rollback", "A commit rolls back", _rolled_back, _lack_rollback, "database", "rollback"),
    Station("record", "Git is true again", lambda facts: bool(facts.own), _lack_record),
    Station("look", "Where to look from here", lambda _: False, _lack_metrics),
)
