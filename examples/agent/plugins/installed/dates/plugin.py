"""Date tools: read dates as people write them, count and add working days, find the next weekday.

No method looks at a clock: what depends on today takes today as an argument. Dates travel as `YYYY-MM-DD`.
"""

from __future__ import annotations

import re
from datetime import date, timedelta
from typing import Any

_MONTH_NAMES = "january february march april may june july august september october november december"
_MONTHS = _MONTH_NAMES.split()
_WEEKDAYS = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]
_RELATIVE = {"yesterday": -1, "today": 0, "tomorrow": 1}

_ISO = re.compile(r"(\d{4})[-/.](\d{1,2})[-/.](\d{1,2})")
_NUMBERS = re.compile(r"(\d{1,2})[-/.](\d{1,2})[-/.](\d{4})")
_DAY_FIRST = re.compile(r"(\d{1,2})(?:st|nd|rd|th)?\.?(?: of)? ([a-z]+)\.?,? (\d{4})")
_MONTH_FIRST = re.compile(r"([a-z]+)\.? (\d{1,2})(?:st|nd|rd|th)?,? (\d{4})")
_IN_DAYS = re.compile(r"in (\d{1,4}) (day|week)s?")
_DAYS_AGO = re.compile(r"(\d{1,4}) (day|week)s? ago")


class DateTools:
    """The methods of the capability `dates`."""

    def parse(self, text: str, *, day_first: bool = True, today: str | None = None) -> dict[str, Any]:
        """Read one date written in words or numbers."""
        plain = _without_weekday(" ".join(text.casefold().split()))
        found = _absolute(plain, day_first=day_first) or _relative(plain, today)
        if found is None:
            raise ValueError(f"no date is written in {text!r}; forms such as 5 March 2026 or 2026-03-05 are understood")
        return {"date": found.isoformat(), "weekday": _WEEKDAYS[found.weekday()], "iso_week": found.isocalendar().week}

    def working_days(self, start: str, end: str, holidays: list[str] | None = None) -> dict[str, Any]:
        """Count the working days after `start` up to and including `end`; negative when `end` is earlier."""
        first, last = _day(start), _day(end)
        free = {_day(holiday) for holiday in holidays or []}
        low, high = min(first, last), max(first, last)
        days = (low + timedelta(days=offset) for offset in range(1, (high - low).days + 1))
        working = sum(1 for day in days if _is_working(day, free))
        return {"working_days": working if last >= first else -working, "calendar_days": (last - first).days}

    def add_working_days(self, start: str, days: int, holidays: list[str] | None = None) -> dict[str, Any]:
        """Return the date that many working days after `start`, or before it when `days` is negative."""
        free = {_day(holiday) for holiday in holidays or []}
        day, left = _day(start), abs(days)
        step = timedelta(days=1 if days > 0 else -1)
        while left:
            day += step
            left -= _is_working(day, free)
        return {"date": day.isoformat(), "weekday": _WEEKDAYS[day.weekday()]}

    def next_weekday(self, start: str, weekday: str) -> dict[str, Any]:
        """Return the first such weekday after `start`."""
        day = _day(start)
        ahead = (_weekday(weekday) - day.weekday() - 1) % 7 + 1
        return {"date": (day + timedelta(days=ahead)).isoformat(), "days_ahead": ahead}


def _absolute(text: str, *, day_first: bool) -> date | None:
    if iso := _ISO.fullmatch(text):
        return _checked(int(iso[1]), int(iso[2]), int(iso[3]))
    if numbers := _NUMBERS.fullmatch(text):
        day, month = (numbers[1], numbers[2]) if day_first else (numbers[2], numbers[1])
        return _checked(int(numbers[3]), int(month), int(day))
    if words := _DAY_FIRST.fullmatch(text):
        return _checked(int(words[3]), _month(words[2]), int(words[1]))
    if words := _MONTH_FIRST.fullmatch(text):
        return _checked(int(words[3]), _month(words[1]), int(words[2]))
    return None


def _relative(text: str, today: str | None) -> date | None:
    if text in _RELATIVE:
        offset = _RELATIVE[text]
    elif ahead := _IN_DAYS.fullmatch(text):
        offset = int(ahead[1]) * (7 if ahead[2] == "week" else 1)
    elif ago := _DAYS_AGO.fullmatch(text):
        offset = -int(ago[1]) * (7 if ago[2] == "week" else 1)
    else:
        return None
    if today is None:
        raise ValueError(f"{text!r} depends on the day it is said; pass today as YYYY-MM-DD")
    return _day(today) + timedelta(days=offset)


def _without_weekday(text: str) -> str:
    first, _, rest = text.partition(" ")
    return rest if rest and first.strip(",.") in {name[:length] for name in _WEEKDAYS for length in (3, 9)} else text


def _month(word: str) -> int:
    matches = [number for number, name in enumerate(_MONTHS, start=1) if len(word) >= 3 and name.startswith(word)]
    if len(matches) != 1:
        raise ValueError(f"{word!r} is not the name of a month")
    return matches[0]


def _weekday(word: str) -> int:
    matches = [number for number, name in enumerate(_WEEKDAYS) if len(word) >= 3 and name.startswith(word.casefold())]
    if len(matches) != 1:
        raise ValueError(f"{word!r} is not the name of a weekday")
    return matches[0]


def _checked(year: int, month: int, day: int) -> date:
    try:
        return date(year, month, day)
    except ValueError as error:
        raise ValueError(f"year {year}, month {month}, day {day} is not in the calendar: {error}") from None


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{text!r} is not a date such as 2026-03-05; use dates__parse for other forms") from None


def _is_working(day: date, free: set[date]) -> bool:
    return day.weekday() < 5 and day not in free


capabilities = {"dates": DateTools()}
