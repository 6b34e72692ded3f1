"""Cron schedules: read as Kubernetes reads them, by the clocks of a zone, at a bounded cost."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.model.schedule import parse_schedule

NEW_YEAR = datetime(2026, 1, 1, tzinfo=UTC)  # a Thursday
BERLIN = ZoneInfo("Europe/Berlin")


def times(text, count, start=NEW_YEAR, zone=UTC):
    schedule, found = parse_schedule(text), []
    for _ in range(count):
        start = schedule.after(start, zone)
        found.append(start)
    return [f"{time.astimezone(zone):%m-%d %H:%M}" for time in found]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("*/20 * * * *", ["01-01 00:20", "01-01 00:40", "01-01 01:00"]),
        ("30 2 * * *", ["01-01 02:30", "01-02 02:30", "01-03 02:30"]),
        ("5/25 0 * * *", ["01-01 00:05", "01-01 00:30", "01-01 00:55"]),
        ("0 8-10/2 * * ?", ["01-01 08:00", "01-01 10:00", "01-02 08:00"]),
        ("0 0 1,15 * *", ["01-15 00:00", "02-01 00:00", "02-15 00:00"]),
        ("0 0 * * MON-Tue", ["01-05 00:00", "01-06 00:00", "01-12 00:00"]),
        ("0 0 * * sun", ["01-04 00:00", "01-11 00:00", "01-18 00:00"]),
        ("0 0 31 * *", ["01-31 00:00", "03-31 00:00", "05-31 00:00"]),
        ("0 0 29 2 *", ["02-29 00:00"]),
        ("@hourly", ["01-01 01:00", "01-01 02:00"]),
        ("@weekly", ["01-04 00:00"]),
        ("0 0 1 jan,DEC *", ["12-01 00:00", "01-01 00:00"]),
    ],
)
def test_a_schedule_names_its_next_times(text, expected):
    assert times(text, len(expected)) == expected


def test_where_both_kinds_of_days_are_named_either_is_enough():
    assert times("0 0 13 * fri", 4) == ["01-02 00:00", "01-09 00:00", "01-13 00:00", "01-16 00:00"]
    assert times("0 0 */13 * fri", 2) == ["01-02 00:00", "01-09 00:00"], "a step is no star"
    assert times("0 0 13 * */1", 1) == ["01-13 00:00"], "a step of one is"


def test_the_clocks_of_the_zone_decide_and_what_they_skip_is_left_out():
    assert times("0 12 * * *", 1, zone=BERLIN) == ["01-01 12:00"]
    spring = datetime(2026, 3, 28, 12, tzinfo=UTC)
    assert times("30 2 * * *", 2, spring, BERLIN) == ["03-30 02:30", "03-31 02:30"]
    autumn = datetime(2026, 10, 24, 23, 45, tzinfo=UTC)  # 01:45 in summer; 02:00 to 03:00 comes twice
    assert times("0,30 2 * * *", 5, autumn, BERLIN) == ["10-25 02:00", "10-25 02:30", "10-25 02:00", "10-25 02:30", "10-26 02:00"]


def test_a_day_that_never_comes_has_no_time():
    assert parse_schedule("0 0 30 2 *").after(NEW_YEAR) is None
    assert parse_schedule("0 0 30 2 *").latest(NEW_YEAR, NEW_YEAR + timedelta(days=9000)) is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "must be a cron schedule"),
        (5, "must be a cron schedule"),
        ("* * * *", "has 4 fields"),
        ("0 0 * * * *", "has 6 fields"),
        ("60 * * * *", "minute: 60 is not from 0 to 59"),
        ("0 0 0 * *", "day of the month: 0 is not from 1 to 31"),
        ("0 0 * * 7", "day of the week: 7 is not from 0 to 6"),
        ("0 0 * foo *", "month: foo is no number"),
        ("*/0 * * * *", "minute: 0 is not from 1"),
        ("9-3 * * * *", "minute: 9-3 begins after its end"),
        ("1,,2 * * * *", "minute:  is no number"),
        ("@often", "@often is none of @yearly"),
        ("TZ=UTC 0 0 * * *", "timeZone"),
        ("0" * 300 + " * * * *", "must be a cron schedule"),
    ],
)
def test_what_is_no_schedule_is_refused_with_the_field_and_the_reason(text, message):
    with pytest.raises(ValueError, match=message):
        parse_schedule(text)


@given(st.sampled_from(["*/7 * * * *", "0 3 * * *", "15 10 1 * *", "0 0 * * sat", "0 0 29 2 *"]), st.integers(1, 4_000_000))
def test_the_latest_time_is_the_one_that_no_other_follows(text, minutes):
    schedule, until = parse_schedule(text), NEW_YEAR + timedelta(minutes=minutes)
    found = schedule.latest(NEW_YEAR, until)
    if found is None:
        following = schedule.after(NEW_YEAR)
        assert following is None or following > until
    else:
        assert NEW_YEAR < found <= until
        assert schedule.after(found - timedelta(minutes=1)) == found
        following = schedule.after(found)
        assert following is None or following > until


def test_rule_10_finding_the_latest_of_years_of_minutes_asks_for_few_times(monkeypatch):
    schedule, asked = parse_schedule("* * * * *"), []
    real = type(schedule).after
    monkeypatch.setattr(type(schedule), "after", lambda self, *args: asked.append(args) or real(self, *args))
    assert schedule.latest(NEW_YEAR, NEW_YEAR + timedelta(days=1800)) == NEW_YEAR + timedelta(days=1800)
    assert len(asked) < 100
