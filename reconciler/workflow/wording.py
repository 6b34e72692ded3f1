"""The words for what keeps an application, by condition and reason: why, what helps, and the one command or line to copy.

They are said once here: in conditions, `why`, the API and `status` alike. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, NamedTuple

from reconciler.model.names import CREATE_NAMESPACE, PRUNE_FILE, SHARD
from reconciler.model.status import DecisionView, RunView
from reconciler.model.text import one_line

_LONGEST = 2000


class Place(NamedTuple):
    """What a line to copy needs: `app` as NAMESPACE/NAME, `path` of its manifest, and `line`, whatever else is to be copied."""

    app: str
    path: str = ""
    line: str = ""


class Words(NamedTuple):
    """
    `because`: a clause; `advice`: what helps; `help`: the command to run or the line to commit, empty where none helps.

    In all of them stand `{detail}`, `{help}` and the fields of a `Place`.
    """

    because: str
    advice: str
    help: str = ""


_LOOK = "reconciler reconcile {app}"
_LINT = "reconciler lint ."
_BACK = "reconciler rollback {app} --push"
_RESTART = "reconciler workflow restart {app}"
_TRIED = "it is tried again by itself, and at once with `{help}`"
_MEND = "mend {path} and push; `{help}` in your clone shows every mistake"
_APPROVE = f"if it is meant, add {{line}} to `approved` in {PRUNE_FILE}"
_APPROVED = 'approved: ["{line}"]'
_BY_HAND = "make the commit with `{help}`"
_TAKE_OUT = "mend it, or take it out of {path}"
_DIFFERS = "git still declares what was rolled back"

_NOT_IN_GIT: Final[Mapping[str, str]] = MappingProxyType(
    {
        "WriteBackOff": "write-back is off; to have git say the same, commit {help} in {path}",
        "BranchCheckedOut": "a work tree has the branch checked out; to have git say the same, commit {help} in {path}",
        "OtherWriter": "another writer is declared for the branch; to have git say the same, commit {help} in {path}",
        "PushRefused": "the push was refused; to have git say the same, commit {help} in {path}",
        "NotExact": "the daemon cannot make that commit; to have git say the same, commit {help} in {path}",
    }
)

# DecisionIgnored says what stands there and, where a gate waits, the line that would count.
_DECISIONS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "UnknownGate": _TAKE_OUT,
        "UnknownAnnotation": _TAKE_OUT,
        "Malformed": _TAKE_OUT,
        "HalfMissing": "write both of them, or take it out of {path}",
        "Contradictory": _TAKE_OUT,
        "CodeNeeded": "",
        "StaleCode": "",
        "Spent": "",
        "TooLate": "",
    }
)

WORDS: Final[Mapping[tuple[str, str], Words]] = MappingProxyType(
    {
        ("Reconciling", "Running"): Words("{detail}", "to stop it commit {help}", "{line}"),
        ("Reconciling", "Gate"): Words("{detail}", "to stop it commit {help}", "{line}"),
        ("Reconciling", "Queued"): Words("{detail}", "to stop it commit {help}", "{line}"),
        ("Reconciling", "RollingBack"): Words("{detail}", ""),
        ("Reconciling", "Compensating"): Words("{detail}", "to leave the rest as it is, commit {help}", "{line}"),
        ("Reconciling", "Deleting"): Words("git does not declare it any more, and its objects are being deleted", ""),
        ("Stalled", "Internal"): Words("the daemon cannot go on with it: {detail}", f"{_TRIED}; the daemon's log says more", _LOOK),
        ("ManifestInvalid", "Invalid"): Words("its manifest has errors: {detail}", _MEND, _LINT),
        ("ManifestInvalid", "RenderFailed"): Words("its manifest cannot be rendered: {detail}", _MEND, _LINT),
        ("Suspended", "Suspended"): Words("it is suspended ({detail}) in {path}", "to go on, `{help}`", "reconciler resume {app} --push"),
        ("Suspended", "Ordered"): Words(
            "it is suspended ({detail}), which git does not say yet",
            "to go on, `{help}`",
            'reconciler workflow resume {app} --reason "it is over"',
        ),
        **{("CommandNotInGit", reason): Words("{detail}", advice, "{line}") for reason, advice in _NOT_IN_GIT.items()},
        ("Rejected", "RolledBack"): Words(
            "{detail} and is rejected", "push another change to go on, or set git back with `{help}`: what is rejected is not tried again", _BACK
        ),
        ("DependencyNotReady", "NotReady"): Words(
            "it waits for applications that it depends on: {detail}",
            "it goes on by itself as soon as they are ready; `{help}` says more",
            "reconciler why {line}",
        ),
        ("DependencyNotReady", "Missing"): Words(
            "it waits for applications that it depends on: {detail}",
            "declare it, or take it out of what {path} depends on; `{help}` in your clone shows every mistake",
            _LINT,
        ),
        ("DependencyNotReady", "Cycle"): Words(
            "it waits for itself: {detail}",
            "none of them can ever go on: take one of the dependencies out; `{help}` in your clone shows all of them",
            _LINT,
        ),
        ("GitDiffers", "WriteBackOff"): Words(f"{_DIFFERS}, and write-back is off{{detail}}", _BY_HAND, _BACK),
        ("GitDiffers", "BranchCheckedOut"): Words(f"{_DIFFERS}, and a work tree has the branch checked out{{detail}}", _BY_HAND, _BACK),
        ("GitDiffers", "OtherWriter"): Words(f"{_DIFFERS}, and another writer is declared for the branch{{detail}}", _BY_HAND, _BACK),
        ("GitDiffers", "PushRefused"): Words(f"{_DIFFERS}, and the push was refused{{detail}}", _BY_HAND, _BACK),
        ("GitDiffers", "NotExact"): Words(
            f"{_DIFFERS}{{detail}}",
            "no command makes that commit and the daemon does not try it again while git declares the same: push something newer to {path}",
        ),
        ("RemovalInDoubt", "InDoubt"): Words(
            "it is not declared in git any more, but {detail}: it is kept", f"{_APPROVE}; if not, put the manifest back at {{path}}", _APPROVED
        ),
        ("RemovalInDoubt", "Budget"): Words(
            "it is not declared in git any more, but {detail}: it is kept", f"{_APPROVE}; if not, put the manifest back at {{path}}", _APPROVED
        ),
        ("RemovalInDoubt", "RollbackFailed"): Words(
            "it is not declared in git any more, but {detail}: it is kept",
            f"if it is to go all the same, add {{line}} to `approved` in {PRUNE_FILE}; if not, put the manifest back at {{path}}",
            _APPROVED,
        ),
        ("StateLost", "HistoryGone"): Words(
            "its objects run, but their history is gone or older than they are; nothing that differs is touched{detail}",
            "to let it go on, commit in {path} the annotation {help}",
            "{line}",
        ),
        ("NamespaceMissing", "NamespaceMissing"): Words(
            "{detail}",
            "create it, or let the daemon do so (--create-namespaces asked) with the annotation {help} in {path}",
            f'{CREATE_NAMESPACE}: "true"',
        ),
        ("PruneBlocked", "ApprovalNeeded"): Words("objects that it no longer declares are kept: {detail}", _APPROVE, _APPROVED),
        ("PruneBlocked", "Terminating"): Words(
            "it waits until {detail} is gone before anything that was applied earlier is deleted",
            f"see who is to take its finalizers off; {_TRIED}",
            _LOOK,
        ),
        ("PruneBlocked", "OwnerUnsettled"): Words(
            "objects that it no longer declares are kept until it is known what {detail} declares, for which another daemon acts",
            "see whether that one runs; {help} here tells",
            "reconciler why {line}",
        ),
        ("PruneFailed", "PruneFailed"): Words("an object that it no longer declares could not be deleted: {detail}", _TRIED, _LOOK),
        ("CallbackOwed", "NotTaken"): Words("{detail}", "it is told again by itself, for a day; mend the receiver, or the URL in {path}"),
        ("CallbackOwed", "EgressRefused"): Words(
            "{detail}", "if it is meant, start the daemon with {help}; if not, mend the URL in {path}", "{line}"
        ),
        ("DriftFought", "Fought"): Words(
            "something keeps changing {detail}; it is healed ever more slowly",
            "find that writer, or suspend the application with `{help}`",
            'reconciler suspend {app} --reason "somebody changes it" --push',
        ),
        ("ShardUnled", "NobodyActs"): Words(
            "git gives it to a shard for which nobody acts (Lease {detail}), so this daemon goes on with it",
            "start the daemon of that shard, or mend the label in {path}: {help}",
            SHARD,
        ),
        ("KindsForeign", "LeftAlone"): Words(
            "{detail}: objects of that kind in this cluster are left alone",
            "this application is of git, and `{help}` shows it",
            "kubectl get applications.reconciler.dev -A",
        ),
        ("KindsUnwatched", "Forbidden"): Words(
            "the daemon's account may not watch {detail}: what somebody changes of such objects is put back only when a run applies them again",
            "let it {help} them where that matters",
            "get, list and watch",
        ),
        ("DriftFought", "HealFailed"): Words("an object that differs could not be put back: {detail}", _TRIED, _LOOK),
        **{("DecisionIgnored", reason): Words("{detail}", advice, "{line}") for reason, advice in _DECISIONS.items()},
    }
)

# What helps after a run that ended badly, by its reason, beside a change and a way back. Where a reason is not named, a change is all.
_ENDS: Final[Mapping[str, Words]] = MappingProxyType(
    {
        "HealthTimeout": Words("", "`{help}` may tell why", "reconciler cluster events"),
        "NotAllowed": Words("", "what may go where is the operator's to say (`access` of the settings)"),
        "OwnedByOther": Words("", "take the object out of one of the two, or let a policy `shared-resource` of each select it"),
        "NotOurs": Words("", "let a policy `take-over` select the object, or give it another name"),
        "ReadOnlyMissing": Words("", "make the object, or take it out of the policy `read-only`"),
        "OwnerUnsettled": Words("", "`{help}` may tell whose it is", "reconciler status"),
        "NamespaceMissing": Words("", "create the namespace, or annotate {path} with {help}", f'{CREATE_NAMESPACE}: "true"'),
        "RollbackFailed": Words("", "what stands of it is yours to take back"),
        "RestoreFailed": Words("", "`{help}` may tell why", "reconciler cluster events"),
    }
)


class Told(NamedTuple):
    """`message`: why and what helps, one line. `help`: what to copy."""

    message: str
    help: str


def word(kind: str, reason: str, detail: str, place: Place) -> Told:
    """What a condition of that type and reason says. Total: of one without words the detail alone."""
    words = WORDS.get((kind, reason), Words("{detail}", ""))
    return Told(*_fill(words, detail, place))


def word_end(reason: str, place: Place, *, back: bool) -> Told:
    """What helps after a run that ended for that reason: it is held until a change comes (rule 6c). `back`: there is a revision to go back to."""
    words = _ENDS.get(reason, Words("", ""))
    advice, help_ = _fill(words, "", place)
    change = f"for a change pushed to {place.path or 'its manifest'}"
    held = f"it is held and not tried again by itself, only by `{_RESTART.format(app=place.app)}` or {change}"
    line = _BACK.format(app=place.app)
    way = f", or go back with `{line}`" if back else ""
    return Told("; ".join(part for part in (held + way, advice) if part), line if back else help_)


def decided(run: RunView | None) -> str:
    """Who stopped a run, and where; empty where nobody did."""
    decision: DecisionView | None = run.decisions[-1] if run is not None and run.decisions else None
    if decision is None or decision.verb == "continue":
        return ""
    if decision.by == "engine":
        return f" by its own context ({plain(decision.message)})"
    author = f" by {plain(decision.author)}" if decision.author else ""
    if decision.by == "order" and decision.author:
        return f"{author} ({plain(decision.message)})" if decision.message else author
    commit = f" in commit {plain(decision.commit[:12])}" if decision.commit else ""
    return f"{author} at gate {plain(decision.step)}{commit}"


def plain(text: str, limit: int = 600) -> str:
    """Untrusted text inside a sentence: one line, without the full stop that it may end in."""
    return one_line(text.strip(), limit).rstrip(".")


def _fill(words: Words, detail: str, place: Place) -> tuple[str, str]:
    app, path, line = plain(place.app), plain(place.path) or "its manifest", plain(place.line)
    known = {"app": app, "path": path, "line": line, "detail": plain(detail, _LONGEST)}
    help_ = words.help.format(**known)
    advice = words.advice if help_ or "{help}" not in words.advice else ""
    text = "; ".join(part.format(**known, help=help_) for part in (words.because, advice) if part)
    return text.strip(), help_
