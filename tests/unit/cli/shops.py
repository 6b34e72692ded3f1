"""The shop of the demo as it may stand, without git and a daemon."""

import msgspec

from reconciler.cli.demonstration.facts import PATH, Declared, Facts, find_images
from reconciler.cli.demonstration.folder import find_example
from reconciler.dialects.registry import compile_file, dialects
from reconciler.model.status import History, RevisionHistory, RunHistory
from reconciler.revisions.digest import git_digest
from reconciler.steps.catalog import STEP_TYPES
from tests.unit.api.fakes import application, gate, revision, run
from tests.unit.dialects.conftest import MemoryFiles

KEY = "gates.reconciler.dev/approve"
TEXT = (find_example() / PATH).read_text()


def declare(text=TEXT):
    app = next(iter(compile_file(PATH, text, MemoryFiles({}), dialects(STEP_TYPES)).applications), None)
    return Declared(text, app, git_digest(app) if app else "")


class World:
    """The shop as it may stand: the facts of a look, step by step."""

    def __init__(self):
        self.text, self.running, self.newest, self.waits = TEXT, 0, 1, True
        self.images = find_images(declare().app.spec)
        self.cluster, self.own, self.rolled, self.phase, self.sync = {"database": "mysql:8.4"}, "", "", "", "OutOfSync"
        self.write_back = None
        self.seen = declare().digest

    def facts(self, **more):
        declared = declare(self.text)
        waiting = [msgspec.structs.replace(gate(code=f"{self.newest:012x}"), revision=f"shop-v{self.newest}")] if self.waits else []
        phase = self.phase or ("Waiting" if self.waits else "Succeeded")
        status = application(
            "shop",
            "shop",
            desired=msgspec.structs.replace(revision(self.newest, "shop"), digest=self.seen),
            running=revision(self.running, "shop") if self.running else None,
            gates=waiting,
            run=run(phase),
            sync=self.sync,
            path=PATH,
        )
        history = History("shop", "shop", None, None, [self._tell(number) for number in range(self.newest, 0, -1)])
        metrics = f'reconciler_application_info{{namespace="shop",name="shop",revision="shop-v{self.running}",sync="{self.sync}",health="Healthy"}} 1'
        values = {"promised": self.images if self.running else {}, "cluster": self.cluster, "own": self.own, "metrics": metrics, **more}
        return Facts([status], history, declared, **values)

    def _tell(self, number):
        rolled = f"shop-v{number}" == self.rolled
        told = RunHistory(
            f"shop-v{number}-1", "deploy", "RolledBack" if rolled else "Succeeded", restored_by="x" if rolled else "", write_back=self.write_back
        )
        return RevisionHistory(f"shop-v{number}", "0" * 64, None, True, False, number <= self.running, rolled, runs=[told])

    def promote(self):
        self.running, self.waits, self.sync = self.newest, False, "Synced"
        self.images = find_images(declare(self.text).app.spec)
        self.cluster = dict(self.images)

    def push(self, text):
        changed = declare(text).digest != self.seen
        self.text, self.seen = text, declare(text).digest
        if changed:
            self.newest, self.waits, self.sync = self.newest + 1, True, "OutOfSync"
            self.cluster = {**self.cluster, "database": find_images(declare(text).app.spec)["database"]}

    def roll_back(self):
        self.rolled, self.waits, self.cluster = f"shop-v{self.newest}", False, dict(self.images)

    def write(self, text):
        self.text, self.own, self.seen, self.sync = text, "abc Reconciler: back", declare(text).digest, "Synced"

    def act(self, step):
        """What the daemon would make of that step."""
        decision = step.after.partition(f"{KEY}: ")[2][:8]
        if declare(step.after).digest != self.seen:
            self.push(step.after)
        elif decision == "continue":
            self.text = step.after
            self.promote()
        else:
            good = step.before.replace("mysql:8.5", "mysql:8.4")
            self.roll_back()
            self.write(good)
