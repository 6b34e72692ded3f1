"""What one sees of an application: the shape that scripts rely on (`status --output json`, `/v1/applications`, the mirror's status)."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal, Protocol

import msgspec

from reconciler.model.condition import Condition
from reconciler.model.identity import AppKey, JsonObject

Sync = Literal["Synced", "OutOfSync", "Unknown"]
HealthStatus = Literal["Healthy", "Progressing", "Degraded", "Suspended", "Missing", "Unknown"]


class RevisionView(msgspec.Struct, rename="camel"):
    """`revision`: `<app>-v<N>`, empty while none was made for that digest (rejected before, or not looked at yet)."""

    revision: str
    digest: str
    commit: str


class StepView(msgspec.Struct, rename="camel"):
    """`until`: when its wait ends by itself (a timer opens, health is waited for no longer); `retry_at`: when it is tried again after an error;
    `deadline`: when its timeout is over and it fails. `group`: key of the step that it belongs to."""

    name: str
    type: str
    phase: str
    message: str
    key: str = ""
    started_at: datetime | None = None
    finished_at: datetime | None = None
    until: datetime | None = None
    retry_at: datetime | None = None
    deadline: datetime | None = None
    group: str = ""


class DecisionView(msgspec.Struct, rename="camel"):
    """`by`: `commit`, `timer`, `order` or `engine`; without a commit there is no author."""

    step: str
    verb: str
    commit: str
    author: str
    message: str
    at: datetime
    by: str = "commit"


class StopView(msgspec.Struct, rename="camel"):
    """What to put into the manifest's annotations to stop a run at any time, wherever it is (rule 4f). `rollback` is empty for one that is
    being undone already."""

    key: str
    rollback: str
    end: str


class WriteBackView(msgspec.Struct, rename="camel"):
    """The commit that a rollback owes to git: `state` as in `WriteBack`, `commit` empty until it is built."""

    state: str
    commit: str = ""
    reason: str = ""


class CommandView(msgspec.Struct, rename="camel"):
    """What a person ordered at once. `step`: its key, empty for all of it. `write_back`: the commit that makes git say the same."""

    verb: str
    at: datetime
    author: str
    reason: str
    run: str = ""
    step: str = ""
    write_back: WriteBackView | None = None


class RunView(msgspec.Struct, rename="camel"):
    """`family`: the run's status in the words of the manifest family. `stop`: null where there is nothing to be stopped any more.
    `supersedes`: runs and commits that were passed by on the way to it (rule 6b). `write_back`: the commit that a rollback owes.
    `queue`: where it waits to be admitted, or waited; empty: in none. `commands`: what persons ordered at it, oldest first."""

    id: str
    revision: str
    phase: str
    steps: list[StepView]
    kind: str = "deploy"
    reason: str = ""
    message: str = ""
    decisions: list[DecisionView] = []
    started_at: datetime | None = None
    finished_at: datetime | None = None
    stop: StopView | None = None
    supersedes: list[str] = []
    write_back: WriteBackView | None = None
    family: dict[str, Any] = {}
    queue: str = ""
    commands: list[CommandView] = []


class GateView(msgspec.Struct, rename={"continue_": "continue"}):
    """A gate that waits. `key` and one of the three values are what to put into the manifest's annotations. `until`: when a timer opens it.
    `deadline`: when its timeout is over and it fails."""

    step: str
    revision: str
    since: datetime
    key: str
    continue_: str
    rollback: str
    end: str
    message: str = ""
    until: datetime | None = None
    deadline: datetime | None = None


class MessageView(msgspec.Struct):
    """What the definition of a component, one of its traits or a policy says of how it is (`customStatus`, `details`), on one line."""

    component: str
    message: str


class ApplicationStatus(msgspec.Struct, rename="camel"):
    """
    `desired` is the head's, even when rejected; `running` the last promoted; `run` the newest. `lag`: seconds that the
    desired revision waits to be the running one, 0 when synced. `path` and `line`: where the manifest stands. `retry_at`: when a turn
    that failed is tried again. `trouble`: the object that its health is about, and what is with it; empty where it is healthy. `shard`: whose
    daemon acts for it. `messages`: of its components, healthy or not, whose definitions say some, at most 50.
    """

    application: str
    namespace: str
    environment: str
    desired: RevisionView | None
    running: RevisionView | None
    sync: Sync
    health: HealthStatus
    run: RunView | None
    gates: list[GateView]
    gate: GateView | None
    conditions: list[Condition]
    path: str = ""
    line: int = 0
    family: str = ""
    suspended: str = ""
    since: datetime | None = None
    superseded: list[str] = []
    retry_at: datetime | None = None
    trouble: str = ""
    shard: str = ""
    messages: list[MessageView] = []

    @property
    def key(self) -> AppKey:
        return AppKey(self.namespace, self.application)


Result = Literal["Unchanged", "Changed", "Healed", "BackOff", "Failed", "TimedOut"]


class Attention(msgspec.Struct):
    """What came of a request to look again now. `message`: one sentence. `commit`: the head that was looked at, empty where there is none."""

    application: str
    namespace: str
    result: Result
    message: str
    commit: str


class CommitView(msgspec.Struct, rename="camel"):
    """`author`, `message` (its first line) and `time` are empty where git has it no more."""

    id: str
    author: str = ""
    message: str = ""
    time: datetime | None = None


class RunHistory(msgspec.Struct, rename="camel"):
    """
    `commit`: what brought the run about; of the restore run of a rollback the commit that decided so, null where none did.
    `restores`: the run that was rolled back, `restored_by` and `restore_target` the other way round; both empty for a restore run
    that git asked for by declaring an earlier revision again. `undoes`: the runs since its revision was promoted last.
    `superseded_by`, `supersedes`: a revision, and runs and commits that were passed by.
    """

    run: str
    kind: str
    phase: str
    reason: str = ""
    message: str = ""
    commit: CommitView | None = None
    decisions: list[DecisionView] = []
    created_at: datetime | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    restores: str = ""
    restored_by: str = ""
    restore_target: str = ""
    undoes: list[str] = []
    superseded_by: str = ""
    supersedes: list[str] = []
    write_back: WriteBackView | None = None


class RevisionHistory(msgspec.Struct, rename="camel"):
    """
    `commit`: the head that it was made of; `same_commits`: others that are known to declare the same, which made no revision of
    their own (rule 5b). `kept`: it can be gone back to without git (rule 3b). `rejected`: now (rule 7b). `runs`: oldest first.
    """

    revision: str
    digest: str
    commit: CommitView | None
    kept: bool
    running: bool
    promoted: bool
    rejected: bool
    created_at: datetime | None = None
    same_commits: list[CommitView] = []
    runs: list[RunHistory] = []


class History(msgspec.Struct, rename="camel"):
    """What is kept of an application's past. `revisions`: newest first. `superseded`: passed by since the last verdict (rule 6b). `commands`: what
    persons ordered at it and its runs, oldest first."""

    application: str
    namespace: str
    desired: RevisionView | None
    running: RevisionView | None
    revisions: list[RevisionHistory] = []
    superseded: list[str] = []
    commands: list[CommandView] = []


class Fault(msgspec.Struct):
    """Git can't be read. `since`: the first look that failed after the last one that did not."""

    message: str
    since: datetime


class Leader(msgspec.Struct):
    """Who leads. `leads`: this daemon does. `leader`: by its identity; empty while nobody is known to, and where there is only one.
    `epoch`: how often the lead went from one to another. `shard`: of which applications, empty: of those that name none; null: of all."""

    leads: bool
    leader: str
    epoch: int
    shard: str | None = None


class Reader(Protocol):
    """What the API and the metrics may ask of the engine. Answers are masked: no secret is in any of them."""

    def applications(self) -> list[ApplicationStatus]:
        """All, sorted by namespace and name. May include applications known to state whose manifest is in doubt."""
        ...

    def application(self, key: AppKey) -> ApplicationStatus | None: ...

    async def diff(self, key: AppKey) -> JsonObject | None:
        """Promoted against desired, or None where the application is unknown.

        `{application, namespace, from, to, objects: [{object, change: added|removed|changed, fields: [{path, from, to}]}]}`
        """
        ...

    async def revisions(self, key: AppKey) -> list[JsonObject] | None:
        """The kept revisions, newest first, or None where the application is unknown.

        `{revision, digest, promoted, rejected, commit, spec}`: `digest` is the git digest, `spec` as it was written.
        """
        ...

    async def history(self, key: AppKey) -> History | None:
        """What happened to it and who decided so, as far as it is kept, or None where the application is unknown."""
        ...

    async def reconcile(self, key: AppKey, seconds: float) -> Attention | None:
        """Looks again now, at git and then at that application, and tells what came of it within that time; None where it is unknown.

        A hint without authority: what is decided, held or suspended stays so (rules 3a, 13d).
        """
        ...

    async def objects(self, kind: str, namespace: str, name: str) -> list[JsonObject]:
        """Objects of the cluster, secrets masked. `kind` as people write it: `deployment`, `Deployment`, `deployments.apps`, `deploy`.

        Raises LookupError where there is no such kind.
        """
        ...

    def leader(self) -> Leader:
        """Whether this daemon acts, or shows what another one does."""
        ...

    def ready(self) -> tuple[bool, str]:
        """Whether a first look at the repository succeeded and state is loaded; the reason where not."""
        ...

    def alive(self) -> tuple[bool, str]:
        """Whether the loops move; the reason where one stands still."""
        ...

    def fault(self) -> Fault | None:
        """Why git can't be read just now; None while it can."""
        ...

    def problems(self) -> list[JsonObject]:
        """Problems of the head's documents, as `lint` shows them."""
        ...
