"""What is stored of an application beside its revisions and runs: the mirror's status (rules 3a, 1e)."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

import msgspec

from reconciler.model.application import Application
from reconciler.model.chart import Capabilities, ChartPin
from reconciler.model.condition import Condition
from reconciler.model.identity import AppKey, JsonObject, ObjectRef
from reconciler.model.rules import Collect
from reconciler.model.run import Command
from reconciler.model.status import HealthStatus, RevisionView, Sync
from reconciler.model.treatment import Deletion


class InventoryItem(msgspec.Struct, frozen=True, omit_defaults=True, rename="camel"):
    """One object that we applied. `digest`: of what was applied; `fields`: of our own managedFields entry after it (10a).

    `revision`, `component`, `partition`, `content`: where the applied object can be read again (7g). `run`: the run that first
    created it, empty where it was there before (1b). `uid` empty: an apply was intended and its answer is not known.
    `collect`, `orphan`: when it is deleted, and whether what belongs to it stays, by the rules under which it was applied. `shared`:
    other applications may have it as well; `fields` is empty while another one writes it. `deletion`: how it is deleted by its own word,
    empty where its application decides. `ignored`: it is left alone as it lives.
    """

    ref: str
    uid: str = ""
    digest: str = ""
    fields: str = ""
    revision: str = ""
    component: str = ""
    partition: str = ""
    content: str = ""
    run: str = ""
    collect: Collect = "onAppUpdate"
    orphan: bool = False
    shared: bool = False
    deletion: Deletion = ""
    ignored: bool = False

    @property
    def object(self) -> ObjectRef:
        return ObjectRef.unpack(self.ref)


class RevisionRecord(msgspec.Struct, omit_defaults=True, rename="camel"):
    """An ApplicationRevision without its content. `name` is what people see, `<app>-v<N>`; `objects`: packed refs of all it declares;
    `shared`: those of them that other applications may have as well. `undone`: where its run fails or the application goes, its steps are
    undone; there is no restore. `pins`: what was resolved when it was made, charts and values from the cluster, by `KIND/COMPONENT`, and the
    cluster's definitions, by `pin_name` (rule 5a).
    `judged`: its definitions have health policies."""

    number: int
    name: str
    digest: str
    commit: str
    revision_digest: str = ""
    digest_version: int = 1
    uid: str = ""
    created_at: datetime | None = None
    parts: list[str] = []
    objects: list[str] = []
    shared: list[str] = []
    undone: bool = False
    judged: bool = False
    pins: dict[str, str] = {}


class Removal(msgspec.Struct, omit_defaults=True, rename="camel"):
    """`state`: InDoubt (waits for approval of `approval`), Budget (the same, for the whole look), Deleting, RollbackFailed (the same as InDoubt:
    what its steps did could not be undone). `forced`: it goes whatever is not undone."""

    state: Literal["InDoubt", "Budget", "Deleting", "RollbackFailed"]
    reason: str
    approval: str = ""
    forced: bool = False


class Mirror(msgspec.Struct, omit_defaults=True, rename="camel"):
    """The mirror of an application. `promoted`: revision numbers, the running one last. `rejected`: a git digest (7b).

    `held`: the digest of a run that ended badly, not tried again by itself (6c). `settled`: runs whose outcome is in here.
    `dirty`: something of a revision that is not the running one may be applied. `superseded_row`: runs superseded in a row (6b).
    `doomed`: objects that are to be pruned, by packed ref and uid (1b); `approved`: those whose deletion was approved and has
    begun (1d). `acknowledged`: traces of lost state (owner and revision)
    that a person let pass (3f). `commands`: what persons ordered of late, but for what stands in the runs; `hold`: the last `suspend` among
    them holds, because git does not say so yet (7f). `restart`: the run that is to be run once more, as a new one. `accounts`: the
    annotations by which its manifest picks a service account (13a).
    `generation`, `requested`, `shard`: what its metadata says, the second of the one hint that is taken from it (3a), the third of whose daemon
    acts, which that daemon alone changes; `observed_generation`, `last_handled_reconcile_at`: the answers to them. `deletion`: what becomes of its
    objects when it leaves git, by the last manifest that was valid.
    """

    namespace: str
    name: str
    uid: str = ""
    version: str = ""
    generation: int = 0
    requested: str = ""
    shard: str = ""
    observed_generation: int = 0
    last_handled_reconcile_at: str = ""
    path: str = ""
    line: int = 0
    family: str = ""
    environment: str = ""
    accounts: dict[str, str] = {}
    desired: RevisionView | None = None
    running: RevisionView | None = None
    promoted: list[int] = []
    rejected: str = ""
    held: str = ""
    dirty: bool = False
    settled: list[str] = []
    superseded_row: int = 0
    inventory: list[InventoryItem] = []
    doomed: list[str] = []
    approved: list[str] = []
    acknowledged: list[str] = []
    removal: Removal | None = None
    superseded: list[str] = []
    conditions: list[Condition] = []
    sync: Sync = "Unknown"
    health: HealthStatus = "Unknown"
    phase: str = ""
    since: datetime | None = None
    commands: list[Command] = []
    hold: bool = False
    restart: str = ""
    deletion: Deletion = ""
    state_version: int = 1

    @property
    def held_by(self) -> Command | None:
        """The command that suspends it, as long as git does not say the same."""
        return next((command for command in reversed(self.commands) if command.verb == "suspend"), None) if self.hold else None

    @property
    def key(self) -> AppKey:
        return AppKey(self.namespace, self.name)


class Past(msgspec.Struct, omit_defaults=True, rename="camel"):
    """A run as the mirror's history tells it: `commit` is what brought it about."""

    run: str
    revision: str
    kind: str
    phase: str
    reason: str = ""
    commit: str = ""
    started_at: datetime | None = None
    finished_at: datetime | None = None


class Shown(msgspec.Struct, omit_defaults=True, rename="camel"):
    """What stands in a mirror's status for those who read it alone: it is made of what is stored anyway and never read again.

    `step`: the gate at which the open run waits, else the step at which it is. `history`: the newest runs, newest first.
    """

    last_attempted_revision: str = ""
    last_applied_revision: str = ""
    step: str = ""
    history: list[Past] = []


class Content(msgspec.Struct, omit_defaults=True):
    """What a revision needs to be run again without git, network, renderer or key (3b): the compiled application and the rendered
    objects of each component that needs no inputs. `sealed`: its encrypted values to their clear text, for components that are rendered
    later; `salt`: what was put into its Secrets with them. Where there are any, all of it is stored in Secrets. `charts`: what the charts of
    components were resolved to; `folders`: the chart itself, packed, of each that lay in the repository and is rendered later,
    and `capabilities` what such a one may know of the cluster."""

    application: Application
    rendered: dict[str, list[JsonObject]]
    sealed: dict[str, str] = {}
    salt: str = ""
    charts: dict[str, ChartPin] = {}
    folders: dict[str, bytes] = {}
    capabilities: Capabilities = Capabilities()


class SourceRecord(msgspec.Struct, omit_defaults=True, rename="camel"):
    """What rule 1a compares and rule 1d counts, for one source. `removed`: times of removals in the last hour."""

    identity: str
    accepted: str = ""
    ignore: str = ""
    observed: str = ""
    removals: list[datetime] = []
    known: int = 0
    version: str = ""
