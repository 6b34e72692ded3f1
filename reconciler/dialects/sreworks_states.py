"""
SREWorks' states of workflow instances and their tasks, and what a run and its steps are in them.

The tables are upstream's (seed 003 names the states; its enums `WorkflowInstanceStateEnum` and `WorkflowTaskStateEnum` the events),
with one correction that the seed asks for: TERMINATED is final but for a retry. A pair that stands in no table changes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from reconciler.model.run import Phase, Run, StepState, is_aside

Table = Mapping[str, Mapping[str, str]]

INSTANCE: Final[Table] = MappingProxyType(
    {
        "PENDING": {"START": "PREPROCESSING", "OP_TERMINATE": "TERMINATED", "UNKNOWN_ERROR": "EXCEPTION"},
        "PREPROCESSING": {"PREPROCESS_FINISHED": "RUNNING", "OP_TERMINATE": "TERMINATED", "UNKNOWN_ERROR": "EXCEPTION"},
        "RUNNING": {
            "PAUSE": "SUSPEND",
            "PROCESS_FINISHED": "SUCCESS",
            "PROCESS_FAILED": "FAILURE",
            "OP_TERMINATE": "TERMINATED",
            "UNKNOWN_ERROR": "EXCEPTION",
        },
        "SUSPEND": {
            "RESUME": "RUNNING",
            "PROCESS_FINISHED": "SUCCESS",
            "PROCESS_FAILED": "FAILURE",
            "OP_TERMINATE": "TERMINATED",
            "UNKNOWN_ERROR": "EXCEPTION",
        },
        "SUCCESS": {"OP_RETRY": "RUNNING"},
        "FAILURE": {"OP_RETRY": "RUNNING"},
        "EXCEPTION": {"OP_RETRY": "RUNNING"},
        "TERMINATED": {"OP_RETRY": "RUNNING"},
    }
)
TASK: Final[Table] = MappingProxyType(
    {
        "PENDING": {"START": "RUNNING", "OP_TERMINATE": "TERMINATED", "UNKNOWN_ERROR": "EXCEPTION"},
        "RUNNING": {
            "PAUSE": "RUNNING_SUSPEND",
            "PROCESS_FINISHED": "WAITING",
            "PROCESS_SUSPEND": "WAITING_SUSPEND",
            "PROCESS_FAILED": "FAILURE",
            "OP_TERMINATE": "TERMINATED",
            "UNKNOWN_ERROR": "EXCEPTION",
        },
        "RUNNING_SUSPEND": {"RESUME": "RUNNING", "OP_TERMINATE": "TERMINATED", "UNKNOWN_ERROR": "EXCEPTION"},
        "WAITING": {
            "PAUSE": "WAITING_SUSPEND",
            "WAITING_FINISHED": "SUCCESS",
            "WAITING_FAILED": "FAILURE",
            "TRIGGER_UPDATE": "WAITING",
            "OP_TERMINATE": "TERMINATED",
            "UNKNOWN_ERROR": "EXCEPTION",
        },
        "WAITING_SUSPEND": {"RESUME": "WAITING", "OP_TERMINATE": "TERMINATED", "UNKNOWN_ERROR": "EXCEPTION"},
        "SUCCESS": {"OP_RETRY": "RUNNING"},
        "FAILURE": {"OP_RETRY": "RUNNING"},
        "EXCEPTION": {"OP_RETRY": "RUNNING"},
        "TERMINATED": {"OP_RETRY": "RUNNING"},
    }
)
INSTANCE_EVENTS: Final = tuple(dict.fromkeys(event for events in INSTANCE.values() for event in events))
TASK_EVENTS: Final = tuple(dict.fromkeys(event for events in TASK.values() for event in events))
FINAL: Final = frozenset({"SUCCESS", "FAILURE", "EXCEPTION", "TERMINATED"})

RUN: Final[Mapping[Phase, str]] = MappingProxyType(
    {
        Phase.PENDING: "PENDING",
        Phase.RUNNING: "RUNNING",
        Phase.WAITING: "SUSPEND",
        Phase.ROLLING_BACK: "RUNNING",
        Phase.SUCCEEDED: "SUCCESS",
        Phase.FAILED: "FAILURE",
        Phase.ROLLED_BACK: "TERMINATED",
        Phase.TERMINATED: "TERMINATED",
        Phase.SUPERSEDED: "TERMINATED",
        Phase.SKIPPED: "SUCCESS",
    }
)
STEP: Final[Mapping[Phase, str]] = MappingProxyType({**RUN, Phase.WAITING: "WAITING_SUSPEND", Phase.SKIPPED: "PENDING"})

# Upstream's INVALID_USER_ARGS: what a person wrote or asked for can't be done.
_USER_ARGS: Final = frozenset({"NoRollbackTarget", "InvalidProperties", "ContextTooLarge"})


def after(table: Table, state: str, event: str) -> str:
    """The state that follows; the same one where that event means nothing there."""
    return table[state].get(event, state)


def instance_state(run: Run) -> str:
    """The run as upstream's instance. PREPROCESSING: it has begun, and none of its steps has."""
    if run.phase is Phase.FAILED and run.failure == "internal":
        return "EXCEPTION"
    if run.phase is Phase.PENDING and run.started_at is not None:
        return "PREPROCESSING"
    if run.phase is Phase.RUNNING and any(task_state(run, step).endswith("_SUSPEND") for step in run.steps):
        return "SUSPEND"
    return RUN[run.phase]


def task_state(run: Run, step: StepState) -> str:
    """
    The step as upstream's task. RUNNING: something of it is being carried out, or it is to be tried again; WAITING: it waits for what
    was started. A step that never began stays PENDING in a run that failed, and was terminated with one that was.
    """
    if step.phase is Phase.FAILED and run.failure == "internal":
        return "EXCEPTION"
    if step.phase is Phase.SKIPPED:
        return "PENDING" if run.phase in (Phase.SUCCEEDED, Phase.FAILED) else "TERMINATED"
    if run.phase is Phase.ROLLING_BACK and run.decisions and run.decisions[-1].gate == step.key:
        return "WAITING"  # for the instance that rolls back
    if step.phase is Phase.PENDING and step.attempt:
        return _paused(run, step, "RUNNING")
    if step.phase is Phase.RUNNING:
        return _paused(run, step, "WAITING" if _waits(step) else "RUNNING")
    return STEP[step.phase]


def _paused(run: Run, step: StepState, state: str) -> str:
    """Suspended alone, or with its application."""
    return f"{state}_SUSPEND" if run.suspended_at is not None or step.suspended_at is not None else state


def _waits(step: StepState) -> bool:
    """Whether all that it began has come back."""
    paths = [path for path in step.intents if not is_aside(path)]
    return bool(paths) and all(path in step.results for path in paths)


def words(run: Run) -> dict[str, Any]:
    """
    `{workflowStatus, workflowErrorMessage, tasks: [{taskName, taskType, taskStatus, taskErrorMessage}]}` (seed 003).

    Of a task that a person suspended, `taskErrorMessage` is what that person said (upstream's `extMessage`).
    """
    status = instance_state(run)
    tasks = []
    for step in run.steps:
        state = task_state(run, step)
        told = state in ("FAILURE", "EXCEPTION", "TERMINATED") or (step.suspended_at is not None and state.endswith("_SUSPEND"))
        error = step.message if told else ""
        tasks.append({"taskName": step.name, "taskType": step.type, "taskStatus": state, "taskErrorMessage": _coded(step.reason, error)})
    error = run.message if status in ("FAILURE", "EXCEPTION", "TERMINATED") else ""
    return {"workflowStatus": status, "workflowErrorMessage": _coded(run.reason, error), "tasks": tasks}


def _coded(reason: str, message: str) -> str:
    """With upstream's number before it, where it has one for that reason."""
    return f"10002: {message}" if message and reason in _USER_ARGS and not message.startswith("10002") else message
