"""What is kept of an application's past, put together from its state (rules 3b, 5b, 6b, 7): revisions, runs, decisions."""

from __future__ import annotations

import math
from collections.abc import Mapping

from reconciler.engine.applications import Application
from reconciler.engine.graph import commands_of
from reconciler.model.records import RevisionRecord
from reconciler.model.run import Commit, Run
from reconciler.model.status import CommitView, DecisionView, History, RevisionHistory, RunHistory, WriteBackView
from reconciler.revisions.masking import mask_manifests
from reconciler.source.protocol import Source, SourceError

Commits = Mapping[str, Commit]


def list_commits(app: Application) -> list[str]:
    """The commits that its history names and that the runs do not tell of."""
    desired = app.mirror.desired
    named = [record.commit for record in app.records] + [_landed(run) for run in app.runs] + [desired.commit if desired else ""]
    told = {run.commit.id for run in app.runs if run.commit is not None and run.commit.author}
    return [commit for commit in dict.fromkeys(named) if commit and commit not in told]


def read_commits(source: Source, ids: list[str]) -> dict[str, Commit]:
    """Those of them that git still has."""
    found = {}
    for commit in ids:
        try:
            found[commit] = source.commit(commit)
        except SourceError:
            continue
    return found


def gather_history(app: Application, commits: Commits) -> History:
    """`commits`: what git says of `list_commits`."""
    mirror = app.mirror
    known = {**commits, **{run.commit.id: run.commit for run in app.runs if run.commit is not None and run.commit.author}}
    names = dict.fromkeys([*(record.name for record in app.records), *(run.revision for run in app.runs)])
    return History(
        application=mirror.name,
        namespace=mirror.namespace,
        desired=mirror.desired,
        running=mirror.running,
        revisions=[_revision(app, name, known) for name in sorted(names, key=_number, reverse=True)],
        superseded=mirror.superseded,
        commands=commands_of(app),
    )


def _number(revision: str) -> int:
    return int(revision.rpartition("-v")[2])


def _revision(app: Application, name: str, commits: Commits) -> RevisionHistory:
    mirror, record = app.mirror, app.record(name)
    runs = [run for run in app.runs if run.revision == name]
    digest = record.digest if record is not None else runs[0].digest
    same = _same_commits(app, name, digest, runs)
    made_of = record.commit if record is not None else next(iter(same), "")
    return RevisionHistory(
        revision=name,
        digest=digest,
        commit=_commit(made_of, commits) if made_of else None,
        kept=record is not None,
        running=mirror.running is not None and mirror.running.revision == name,
        promoted=_number(name) in mirror.promoted,
        rejected=bool(mirror.rejected) and mirror.rejected == digest,
        created_at=record.created_at if record is not None else None,
        same_commits=sorted((_commit(commit, commits) for commit in same if commit != made_of), key=_age),
        runs=[_run(app, run, commits) for run in runs],
    )


def _same_commits(app: Application, name: str, digest: str, runs: list[Run]) -> list[str]:
    """Commits that declare that content: those of its runs, what rollbacks to it committed, and the head's."""
    found = [run.commit.id for run in runs if run.commit is not None and not run.restores]
    found += [_landed(run) for run in app.runs if run.write_back is not None and run.write_back.target == name]
    desired = app.mirror.desired
    found += [desired.commit] if desired is not None and desired.digest == digest else []
    return [commit for commit in dict.fromkeys(found) if commit]


def _age(commit: CommitView) -> float:
    return commit.time.timestamp() if commit.time is not None else math.inf


def _landed(run: Run) -> str:
    return run.write_back.commit if run.write_back is not None and run.write_back.state == "Landed" else ""


def _commit(commit: str, commits: Commits) -> CommitView:
    found = commits.get(commit, Commit(commit))
    return CommitView(commit, found.author, _show(found.message), found.time)


def _run(app: Application, run: Run, commits: Commits) -> RunHistory:
    owed = run.write_back
    return RunHistory(
        run=run.name,
        kind=run.kind,
        phase=run.phase.value,
        reason=run.reason,
        message=_show(run.message),
        commit=_cause(app, run, commits),
        decisions=[DecisionView(item.gate, item.verb, item.commit, item.author, _show(item.message), item.at, item.by) for item in run.decisions],
        created_at=run.created_at,
        started_at=run.started_at,
        finished_at=run.finished_at,
        restores=run.restores,
        restored_by=next((other.name for other in app.runs if other.restores == run.name), ""),
        restore_target=run.restore_target,
        undoes=run.undoes,
        superseded_by=_name_commit(app.records, run.superseded_by),
        supersedes=run.supersedes,
        # Without its message: that is the patch, and it belongs to the condition GitDiffers.
        write_back=WriteBackView(owed.state, owed.commit, owed.reason) if owed is not None else None,
    )


def _cause(app: Application, run: Run, commits: Commits) -> CommitView | None:
    """A rollback's restore run bears the commit of the run that it undoes: what brought it about is the decision."""
    if not run.restores:
        return _commit(run.commit.id, commits) if run.commit is not None else None
    undone = app.find_run(run.restores)
    for decision in reversed(undone.decisions if undone is not None else []):
        if decision.verb == "rollback" and decision.commit:
            found = commits.get(decision.commit)
            return CommitView(decision.commit, decision.author, _show(decision.message), found.time if found is not None else None)
    return None


def _name_commit(records: list[RevisionRecord], newer: str) -> str:
    """What superseded a run was a commit then; the revision that was made of it, where one was and is kept."""
    short = newer.removeprefix("commit ")
    return next((record.name for record in records if short != newer and record.commit.startswith(short)), newer)


def _show(text: str) -> str:
    """Without the user parts of URLs (rule 12)."""
    return str(mask_manifests(text))
