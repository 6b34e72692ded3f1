"""A Reader that answers from values, and an application in a state of one's choice."""

from datetime import UTC, datetime

from reconciler.model.condition import Condition
from reconciler.model.identity import AppKey
from reconciler.model.status import (
    ApplicationStatus,
    Attention,
    CommitView,
    DecisionView,
    GateView,
    History,
    Leader,
    RevisionHistory,
    RevisionView,
    RunHistory,
    RunView,
    StepView,
    WriteBackView,
)

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
SINCE = datetime(2026, 3, 1, 9, 30, tzinfo=UTC)


def revision(number, app="web"):
    return RevisionView(revision=f"{app}-v{number}", digest=f"{number:064x}", commit=f"{number:040x}")


def condition(kind, reason="Because", message="", status="True"):
    return Condition(type=kind, status=status, reason=reason, message=message, since=SINCE)


def gate(step="approve", code="0123456789ab", **fields):
    return GateView(
        step=step,
        revision="web-v2",
        since=SINCE,
        key=f"gates.reconciler.dev/{step}",
        continue_=f"continue@{code}",
        rollback=f"rollback@{code}",
        end=f"end@{code}",
        **fields,
    )


def step(name="apply", kind="apply-component", phase="Running", message="", **fields):
    return StepView(name=name, type=kind, phase=phase, message=message, key=name, **fields)


def run(phase="Running", steps=(), **fields):
    return RunView(**{"id": "web-v2-1", "revision": "web-v2", "phase": phase, "steps": list(steps), **fields})


def decision(verb="rollback", **fields):
    return DecisionView(
        **{"step": "approve", "verb": verb, "commit": "c" * 40, "author": "Ann <ann@example.com>", "message": "no", "at": NOW, **fields}
    )


def application(name="web", namespace="default", **fields):
    gates = fields.pop("gates", [])
    values = {
        "environment": "dev",
        "desired": revision(1),
        "running": revision(1),
        "sync": "Synced",
        "health": "Healthy",
        "run": None,
        "conditions": [],
        "path": "apps/web.yaml",
        "line": 1,
        "family": "kubevela",
        **fields,
    }
    return ApplicationStatus(application=name, namespace=namespace, gates=gates, gate=gates[0] if gates else None, **values)


def waiting(name="web", namespace="default", **fields):
    """At v1, not v2: a gate waits."""
    steps = [step("apply", phase="Succeeded"), step("approve", "suspend", "Waiting")]
    values = {"desired": revision(2, name), "sync": "OutOfSync", "run": run("Waiting", steps), "gates": [gate()], **fields}
    return application(name, namespace, **values)


def commit(digit, message):
    return CommitView(id=digit * 40, author="Ann <ann@example.com>", message=message, time=SINCE)


def history(name="web", namespace="default"):
    """v1 was promoted and runs again after v2 was rolled back at its gate."""
    back = decision(commit="b" * 40, message="Errors went up", at=NOW)
    runs = {
        f"{name}-v1-1": RunHistory(f"{name}-v1-1", "deploy", "Succeeded", commit=commit("1", "One"), started_at=SINCE),
        f"{name}-v2-1": RunHistory(
            f"{name}-v2-1",
            "deploy",
            "RolledBack",
            commit=commit("2", "Two"),
            decisions=[back],
            started_at=SINCE.replace(hour=10),
            restored_by=f"{name}-v1-2",
            restore_target=f"{name}-v1",
            supersedes=["commit 0123"],
            write_back=WriteBackView("Landed", "c" * 40),
        ),
        f"{name}-v1-2": RunHistory(
            f"{name}-v1-2", "restore", "Succeeded", commit=commit("b", "Errors went up"), started_at=SINCE.replace(hour=11), restores=f"{name}-v2-1"
        ),
    }
    first, second, third = runs.values()
    same = [commit("c", "Roll back")]
    older = RevisionHistory(f"{name}-v1", "1" * 64, first.commit, True, True, True, False, SINCE, same, [first, third])
    newer = RevisionHistory(f"{name}-v2", "2" * 64, second.commit, True, False, False, True, SINCE, [], [second])
    return History(name, namespace, revision(1, name), revision(1, name), [newer, older], ["commit 4567"])


class FakeReader:
    """Implements `reconciler.model.status.Reader` over lists that a test may change."""

    def __init__(self, *statuses):
        self.statuses = list(statuses)
        self.diffs = {}
        self.kept = {}
        self.histories = {}
        self.wishes = []
        self.result = "Unchanged"
        self.cluster = []
        self.kinds = {"deployment": "Deployment", "event": "Event", "secret": "Secret"}
        self.readiness = (True, "")
        self.liveness = (True, "")
        self.findings = []
        self.unread = None
        self.lead = Leader(True, "", 0)
        self.lines = []
        self.graphs = {}

    def applications(self):
        return sorted(self.statuses, key=lambda status: status.key)

    def application(self, key: AppKey):
        return next((status for status in self.statuses if status.key == key), None)

    async def diff(self, key):
        return self.diffs.get(key)

    async def revisions(self, key):
        return self.kept.get(key)

    async def history(self, key):
        return self.histories.get(key)

    async def reconcile(self, key, seconds):
        self.wishes.append((str(key), seconds))
        return Attention(key.name, key.namespace, self.result, "looked at commit 0123: nothing is new", "0123") if self.application(key) else None

    def workflows(self):
        return self.lines

    async def workflow(self, key, run):
        return self.graphs.get((str(key), run))

    async def objects(self, kind, namespace, name):
        if kind.lower() not in self.kinds:
            raise LookupError(f"no kind is called {kind}")
        return [
            obj
            for obj in self.cluster
            if obj["kind"] == self.kinds[kind.lower()]
            and namespace in ("", obj["metadata"].get("namespace"))
            and name in ("", obj["metadata"]["name"])
        ]

    def leader(self):
        return self.lead

    def ready(self):
        return self.readiness

    def alive(self):
        return self.liveness

    def fault(self):
        return self.unread

    def problems(self):
        return self.findings
