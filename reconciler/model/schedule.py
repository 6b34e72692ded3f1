"""Cron schedules of five fields, as Kubernetes reads those of a CronJob (its parser is robfig/cron's standard one)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, tzinfo
from typing import Final, NamedTuple

from reconciler.model.text import one_line

_LONGEST: Final = 256
_YEARS: Final = timedelta(days=5 * 366)  # as upstream: what does not come by then never comes
_MINUTE: Final = timedelta(minutes=1)
_MONTHS: Final = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DAYS: Final = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_FIELDS: Final[tuple[tuple[str, int, int, dict[str, int]], ...]] = (
    ("minute", 0, 59, {}),
    ("hour", 0, 23, {}),
    ("day of the month", 1, 31, {}),
    ("month", 1, 12, {name: number for number, name in enumerate(_MONTHS, 1)}),
    ("day of the week", 0, 6, {name: number for number, name in enumerate(_DAYS)}),
)
_NICKNAMES: Final = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}


class Schedule(NamedTuple):
    """`either`: both kinds of days are named, so that a day which is one of them is enough."""

    minutes: frozenset[int]
    hours: frozenset[int]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    either: bool

    def after(self, moment: datetime, zone: tzinfo = UTC) -> datetime | None:
        """
        The first time later than `moment`, in UTC, by the clocks of `zone`; None where none comes within five years.

        A time that the clocks skip is left out, and one that comes twice counts twice.
        """
        now = moment.astimezone(UTC).replace(second=0, microsecond=0) + _MINUTE
        end = now + _YEARS
        while now <= end:
            local = now.astimezone(zone)
            if local.month not in self.months:
                now = _midnight(local.year + local.month // 12, local.month % 12 + 1, 1, zone)
            elif not self._is_day(local):
                tomorrow = local.date() + timedelta(days=1)
                now = _midnight(tomorrow.year, tomorrow.month, tomorrow.day, zone)
            elif local.hour not in self.hours:
                now += timedelta(minutes=60 - local.minute)
            elif local.minute not in self.minutes:
                now += _MINUTE
            else:
                return now
        return None

    def latest(self, after: datetime, until: datetime, zone: tzinfo = UTC) -> datetime | None:
        """The last time later than `after` and not later than `until`. The cost does not grow with what lies between."""
        for back in (timedelta(hours=1), timedelta(days=1), timedelta(days=32), timedelta(days=366), _YEARS):
            start = max(after, until - back)
            found, following = None, self.after(start, zone)
            while following is not None and following <= until:
                found, following = following, self.after(following, zone)
            if found is not None or start == after:
                return found
        return None

    def _is_day(self, local: datetime) -> bool:
        named = (local.day in self.days, local.isoweekday() % 7 in self.weekdays)
        return any(named) if self.either else all(named)


def parse_schedule(text: object) -> Schedule:
    """Reads `*/5 0-6 1,15 jan-mar mon` or `@daily`. Raises ValueError with the field and the reason."""
    if not isinstance(text, str) or not text.strip() or len(text) > _LONGEST:
        raise ValueError("must be a cron schedule such as 30 2 * * *")
    if text.startswith(("TZ=", "CRON_TZ=")):
        raise ValueError("must not name a time zone: the field timeZone of a CronJob does")
    if text.startswith("@") and text not in _NICKNAMES:
        raise ValueError(f"{one_line(text, 40)} is none of {', '.join(_NICKNAMES)}")
    parts = _NICKNAMES.get(text, text).split()
    if len(parts) != len(_FIELDS):
        raise ValueError(f"has {len(parts)} fields; a cron schedule has five: minute, hour, day of the month, month, day of the week")
    found: list[frozenset[int]] = []
    stars: list[bool] = []
    for part, (name, low, high, words) in zip(parts, _FIELDS, strict=True):
        try:
            values, star = _read_field(part.lower(), low, high, words)
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from None
        found.append(values)
        stars.append(star)
    minutes, hours, days, months, weekdays = found
    return Schedule(minutes, hours, days, months, weekdays, either=not stars[2] and not stars[4])


def _read_field(text: str, low: int, high: int, words: dict[str, int]) -> tuple[frozenset[int], bool]:
    """The values of a list of ranges, and whether one of them is all there are."""
    values: set[int] = set()
    star = False
    for part in text.split(","):
        span, slash, given = part.partition("/")
        step = _number(given, 1, high, {}) if slash else 1
        first, dash, last = span.partition("-")
        if span in ("*", "?"):
            start, end = low, high
            star = star or step == 1
        else:
            start = _number(first, low, high, words)
            end = _number(last, low, high, words) if dash else high if slash else start
        if start > end:
            raise ValueError(f"{one_line(span, 40)} begins after its end")
        values.update(range(start, end + 1, step))
    return frozenset(values), star


def _number(text: str, low: int, high: int, words: dict[str, int]) -> int:
    number = words.get(text)
    if number is None:
        if not (text.isascii() and text.isdigit() and len(text) < 4):
            raise ValueError(f"{one_line(text, 40)} is no number")
        number = int(text)
    if not low <= number <= high:
        raise ValueError(f"{number} is not from {low} to {high}")
    return number


def _midnight(year: int, month: int, day: int, zone: tzinfo) -> datetime:
    return datetime(year, month, day, tzinfo=zone).astimezone(UTC)
