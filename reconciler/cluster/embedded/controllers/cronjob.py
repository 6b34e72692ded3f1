"""
CronJobs: a Job at each time of the schedule, by the clock of the cluster (`speed` divides durations, it moves no dates).

As in Kubernetes, of the times that were missed, because nobody looked, a Job ran too long (Forbid) or the CronJob stood
suspended, only the last is made up for, and that within `startingDeadlineSeconds`.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from reconciler.cluster.embedded.controllers.scope import MANAGER, Scope, is_deleting, key_of, owner_reference
from reconciler.cluster.embedded.timezones import read_zone
from reconciler.cluster.protocol import AlreadyExistsError, InvalidError
from reconciler.model.identity import JsonObject
from reconciler.model.schedule import parse_schedule

_SCHEDULED_AT = "batch.kubernetes.io/cronjob-scheduled-timestamp"


def reconcile(scope: Scope, cron: JsonObject) -> float | None:
    if is_deleting(cron):
        return None
    spec, now = cron["spec"], scope.now()
    schedule, zone = parse_schedule(spec["schedule"]), read_zone(spec.get("timeZone"))
    _clean(scope, cron)
    if spec["suspend"]:
        _report(scope, cron, None)
        return None
    due = schedule.latest(_earliest(cron, now), now, zone)
    started = due if due is not None and _may_start(scope, cron) and _start(scope, cron, due) else None
    _report(scope, cron, started)
    following = schedule.after(now, zone)
    return None if following is None else (following - now).total_seconds()


def _earliest(cron: JsonObject, now: datetime) -> datetime:
    """Times up to this one are done, or too late."""
    last = cron.get("status", {}).get("lastScheduleTime") or cron["metadata"]["creationTimestamp"]
    earliest = datetime.fromisoformat(last)
    deadline = cron["spec"].get("startingDeadlineSeconds")
    # A time that lies just that far back is still in it.
    return earliest if deadline is None else max(earliest, now - timedelta(seconds=deadline, microseconds=1))


def _jobs(scope: Scope, cron: JsonObject) -> list[JsonObject]:
    """Oldest first."""
    jobs = scope.objects.owned(cron["metadata"]["uid"], "batch", "Job")
    return sorted((job for job in jobs if not is_deleting(job)), key=lambda job: (job["metadata"]["creationTimestamp"], job["metadata"]["name"]))


def _outcome(job: JsonObject) -> str:
    """Complete or Failed; empty while it runs."""
    conditions = job.get("status", {}).get("conditions", [])
    return next((one["type"] for one in conditions if one["type"] in ("Complete", "Failed") and one["status"] == "True"), "")


def _clean(scope: Scope, cron: JsonObject) -> None:
    """Only so many Jobs that are over are kept of each outcome."""
    spec, jobs = cron["spec"], _jobs(scope, cron)
    for outcome, kept in (("Complete", spec["successfulJobsHistoryLimit"]), ("Failed", spec["failedJobsHistoryLimit"])):
        over = [job for job in jobs if _outcome(job) == outcome]
        for job in over[: max(0, len(over) - kept)]:
            scope.objects.discard(key_of(job))


def _may_start(scope: Scope, cron: JsonObject) -> bool:
    """What the concurrency policy says while another Job runs; Replace ends that one."""
    policy = cron["spec"]["concurrencyPolicy"]
    active = [job for job in _jobs(scope, cron) if not _outcome(job)]
    if active and policy == "Forbid":
        scope.events.emit(cron, "JobAlreadyActive", "Not starting job because prior execution is running and concurrency policy is Forbid")
        return False
    if policy == "Replace":
        for job in active:
            scope.objects.discard(key_of(job))
            scope.events.emit(cron, "SuccessfulDelete", f"Deleted job {job['metadata']['name']}")
    return True


def _start(scope: Scope, cron: JsonObject, due: datetime) -> bool:
    """Makes the Job of that time. Its name tells the time, so that there is one of it at most, also after a crash."""
    metadata, template = cron["metadata"], cron["spec"]["jobTemplate"]
    given = template.get("metadata", {})
    name = f"{metadata['name']}-{int(due.timestamp()) // 60}"
    job = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": name,
            "namespace": metadata["namespace"],
            "labels": given.get("labels", {}),
            "annotations": {**given.get("annotations", {}), _SCHEDULED_AT: _written(due)},
            "ownerReferences": [owner_reference(cron)],
        },
        "spec": template["spec"],
    }
    try:
        scope.objects.create(job, MANAGER)
    except AlreadyExistsError:
        return True
    except InvalidError as error:
        scope.events.emit(cron, "FailedCreate", f"Error creating job: {error}", warning=True)
        return False
    scope.events.emit(cron, "SuccessfulCreate", f"Created job {name}")
    return True


def _report(scope: Scope, cron: JsonObject, started: datetime | None) -> None:
    old, jobs = cron.get("status", {}), _jobs(scope, cron)
    active = [
        {
            "apiVersion": "batch/v1",
            "kind": "Job",
            "namespace": job["metadata"]["namespace"],
            "name": job["metadata"]["name"],
            "uid": job["metadata"]["uid"],
        }
        for job in jobs
        if not _outcome(job)
    ]
    succeeded = [job["status"]["completionTime"] for job in jobs if _outcome(job) == "Complete"]
    status: JsonObject = {
        "active": active or None,
        "lastScheduleTime": old.get("lastScheduleTime") if started is None else _written(started),
        "lastSuccessfulTime": max(succeeded, default=old.get("lastSuccessfulTime")),
    }
    scope.set_status(cron, status)


def _written(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
