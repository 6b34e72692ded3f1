"""CronJobs on a clock that is turned; it begins at midnight of 2026-01-01, UTC."""

import pytest

from reconciler.cluster.health import assess
from reconciler.cluster.protocol import InvalidError, NotFoundError
from reconciler.model.identity import GVK, ObjectRef

REF = ObjectRef("batch/v1", "CronJob", "default", "tick")
MINUTE, HOUR, DAY = 60, 3600, 86400


def cron(schedule="*/10 * * * *", image="task", **spec):
    template = {"spec": {"restartPolicy": "Never", "containers": [{"name": "main", "image": image}]}}
    job = {"metadata": {"labels": {"app": "tick"}}, "spec": {"template": template, "backoffLimit": spec.pop("backoffLimit", 6)}}
    return {
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "metadata": {"name": "tick", "namespace": "default"},
        "spec": {"schedule": schedule, "jobTemplate": job, **spec},
    }


@pytest.fixture
def jobs(turned):
    async def read():
        """By the minute of the schedule that they were made for, and how they ended."""
        found = (await turned.cluster.list(GVK("batch", "v1", "Job"), "default")).items
        return {int(job["metadata"]["name"].rpartition("-")[2]) % 1440: job.get("status", {}).get("succeeded", 0) for job in found}

    return read


async def status(turned):
    return (await turned.cluster.get(REF)).get("status", {})


async def test_a_job_runs_at_each_time_of_the_schedule(turned, jobs):
    await turned.cluster.apply(cron(), "team")
    turned.turn(9 * MINUTE)
    assert await jobs() == {}
    turned.turn(MINUTE + 5)
    assert await jobs() == {10: 1}
    turned.turn(10 * MINUTE)
    assert await jobs() == {10: 1, 20: 1}
    found = await status(turned)
    assert (found["lastScheduleTime"], found["lastSuccessfulTime"]) == ("2026-01-01T00:20:00Z", "2026-01-01T00:20:01Z")
    live = await turned.cluster.get(REF)
    assert assess(live) == ("Healthy", "Last run: 2026-01-01T00:20:00Z")


async def test_speed_divides_durations_and_moves_no_dates(make_cluster):
    fast = await make_cluster(speed=1000)
    await fast.cluster.apply(cron(), "team")
    fast.turn(9 * MINUTE)
    assert "lastScheduleTime" not in (await fast.cluster.get(REF)).get("status", {})


async def test_the_clocks_of_the_time_zone_decide(turned, jobs):
    await turned.cluster.apply(cron("30 9 * * *", timeZone="Asia/Tokyo"), "team")
    turned.turn(HOUR)
    assert await jobs() == {30: 1}


async def test_only_so_many_jobs_of_each_outcome_are_kept(turned, jobs):
    await turned.cluster.apply(cron("* * * * *", successfulJobsHistoryLimit=2), "team")
    turned.turn(5 * MINUTE + 30)
    assert await jobs() == {4: 1, 5: 1}
    await turned.cluster.apply(cron("* * * * *", "will-fail", backoffLimit=0, successfulJobsHistoryLimit=0, failedJobsHistoryLimit=1), "team")
    turned.turn(3 * MINUTE)
    assert await jobs() == {8: 0}


async def test_a_suspended_schedule_starts_nothing_and_makes_up_for_one_afterwards(turned, jobs):
    await turned.cluster.apply(cron(suspend=True), "team")
    turned.turn(35 * MINUTE)
    assert await jobs() == {}
    assert turned.cluster.delay() is None, "it costs nothing"
    await turned.cluster.apply(cron(), "team")
    turned.turn(5)
    assert await jobs() == {30: 1}


@pytest.mark.parametrize(("deadline", "expected"), [(4 * MINUTE, {}), (5 * MINUTE, {30: 1}), (0, {})])
async def test_what_was_missed_longer_ago_than_the_deadline_is_not_made_up_for(turned, jobs, deadline, expected):
    await turned.cluster.apply(cron(suspend=True), "team")
    turned.turn(35 * MINUTE)
    await turned.cluster.apply(cron(startingDeadlineSeconds=deadline), "team")
    turned.turn(5)
    assert await jobs() == expected
    turned.turn(5 * MINUTE)
    assert 40 in await jobs(), "what is due just now always starts"


async def test_allowed_jobs_run_beside_each_other(turned, jobs):
    await turned.cluster.apply(cron("* * * * *", "never-ready"), "team")
    turned.turn(2 * MINUTE + 5)
    assert await jobs() == {1: 0, 2: 0}
    assert len((await status(turned))["active"]) == 2


async def test_forbidden_jobs_wait_for_the_one_before_and_then_start_late(turned, jobs):
    await turned.cluster.apply(cron("* * * * *", "never-ready", concurrencyPolicy="Forbid"), "team")
    turned.turn(3 * MINUTE + 30)
    assert await jobs() == {1: 0}
    (job,) = (await turned.cluster.list(GVK("batch", "v1", "Job"), "default")).items
    await turned.cluster.delete(ObjectRef.of(job))
    turned.turn(1)
    assert await jobs() == {3: 0}


async def test_replaced_jobs_end_for_the_next(turned, jobs):
    await turned.cluster.apply(cron("* * * * *", "never-ready", concurrencyPolicy="Replace"), "team")
    turned.turn(3 * MINUTE + 5)
    assert await jobs() == {3: 0}


async def test_a_schedule_takes_its_jobs_along(turned, jobs):
    await turned.cluster.apply(cron(), "team")
    turned.turn(15 * MINUTE)
    await turned.cluster.delete(REF)
    turned.turn(5)
    assert await jobs() == {}
    with pytest.raises(NotFoundError):
        await turned.cluster.get(REF)
    assert turned.cluster.delay() is None


async def test_rule_2_after_a_restart_no_time_runs_twice_and_the_last_missed_one_runs(make_cluster, tmp_path):
    path = tmp_path / "state.db"
    one = await make_cluster(path)
    await one.cluster.apply(cron(), "team")
    one.turn(10 * MINUTE + 5)
    await one.cluster.close()
    two = await make_cluster(path)
    two.clock.elapsed = 45 * MINUTE
    two.turn(5)
    names = [job["metadata"]["name"] for job in (await two.cluster.list(GVK("batch", "v1", "Job"), "default")).items]
    assert sorted(int(name.rpartition("-")[2]) % 1440 for name in names) == [10, 40]


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"schedule": "61 * * * *"}, "spec.schedule: minute: 61"),
        ({"timeZone": "Mars/Olympus"}, "spec.timeZone: 'Mars/Olympus' is no time zone"),
        ({"timeZone": "../../etc/passwd"}, "spec.timeZone"),
        ({"timeZone": "Local"}, "spec.timeZone"),
        ({"concurrencyPolicy": "Maybe"}, "concurrencyPolicy"),
    ],
)
async def test_what_could_never_run_is_refused_when_it_is_stored(turned, spec, message):
    with pytest.raises(InvalidError, match=message):
        await turned.cluster.apply(cron(**spec), "team")


async def test_rule_10_schedules_and_autoscalers_cost_nothing_until_they_are_due(turned, monkeypatch):
    for number in range(100):
        one = cron("0 12 * * *")
        one["metadata"]["name"] = f"c{number}"
        await turned.cluster.apply(one, "team")
        target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": f"d{number}"}
        scaler = {"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": {"name": f"h{number}", "namespace": "default"}}
        await turned.cluster.apply({**scaler, "spec": {"scaleTargetRef": target, "maxReplicas": 3}}, "team")
    turned.turn(5)
    reads = []
    objects = turned.cluster._objects
    monkeypatch.setattr(objects.storage, "_read", lambda *args, read=objects.storage._read: reads.append(args) or read(*args))
    turned.turn(11 * HOUR)
    assert reads == []
    turned.turn(HOUR)
    assert len((await turned.cluster.list(GVK("batch", "v1", "Job"), "default")).items) == 100
