"""What the example agent's users work on: notes, documents, dates and measures, made from a vocabulary.

Rules:
- Everything comes from the random source that is passed in, so a seed always gives the same inputs.
- Every input is one that a sound plugin answers: a failed call is the plugin's failure, not the user's.
- Two documents are practically never the same; users come back to one they had on purpose (`users.py`).

Not here: who asks for what, and when (`users.py`).
"""

from __future__ import annotations

import json
from datetime import date, timedelta
from pathlib import Path
from random import Random
from typing import Any

_VOCABULARY: dict[str, list[str]] = json.loads(Path(__file__).with_name("vocabulary.json").read_text(encoding="utf-8"))
SUBJECTS, ACTORS, VERBS = _VOCABULARY["subjects"], _VOCABULARY["actors"], _VOCABULARY["verbs"]
THINGS, QUALITIES, TIMES = _VOCABULARY["things"], _VOCABULARY["qualities"], _VOCABULARY["times"]
MONTHS = _VOCABULARY["months"]

CONVERSIONS = (
    ("mile", "kilometre", 1, 90),
    ("kilometre", "mile", 1, 150),
    ("inch", "centimetre", 1, 60),
    ("foot", "metre", 3, 40),
    ("pound", "kilogram", 1, 220),
    ("ounce", "gram", 1, 30),
    ("fahrenheit", "celsius", 20, 110),
    ("celsius", "fahrenheit", -15, 40),
    ("gallon", "litre", 1, 25),
    ("mile per hour", "kilometre per hour", 5, 80),
    ("gibibyte", "megabyte", 1, 64),
)
"""Unit, unit, and the values people convert between them."""

RATES = {"EUR": 1.0, "USD": 1.09, "GBP": 0.85, "JPY": 163.0, "CHF": 0.95, "SEK": 11.3}
"""How much of each currency a euro buys, more or less."""

_WISHES = (
    "convert {value} {source} to {target} please",
    "how much is {value} {source} in {target}?",
    "I need a unit conversion: {value} {source} into {target}",
    "please convert the measurement {value} {source} to {target}",
    "can you turn {value} {source} into {target} for the recipe",
    "what is {value} {source} in {target}, I have no converter for units",
    "unit conversion from {source} to {target}, the value is {value}",
    "{value} {source} to {target}, convert it for the order form",
)
_DATE_FORMS = (
    "{d} {month} {y}",
    "{month} {d}, {y}",
    "{y}-{m:02}-{d:02}",
    "{d}.{m}.{y}",
    "{d}/{m}/{y}",
    "{short} {d} {y}",
)
_FIRST_DAY = date(2026, 1, 1)

Arguments = dict[str, Any]


def sentence(random: Random) -> str:
    """Make one sentence of eight to twenty words."""
    words = [
        "The",
        random.choice(SUBJECTS),
        random.choice(ACTORS),
        random.choice(VERBS),
        "the",
        random.choice(QUALITIES),
        random.choice(THINGS),
    ]
    if random.random() < 0.6:
        words += ["and", random.choice(VERBS), "another", random.choice(QUALITIES), random.choice(THINGS)]
    if random.random() < 0.7:
        words.append(random.choice(TIMES))
    return " ".join(words) + "."


def prose(random: Random, sentences: int) -> str:
    """Make paragraphs of three to six sentences."""
    paragraphs = []
    left = sentences
    while left > 0:
        size = min(left, random.randint(3, 6))
        paragraphs.append(" ".join(sentence(random) for _ in range(size)))
        left -= size
    return "\n\n".join(paragraphs)


def notes(random: Random, lines: int) -> str:
    """Make a list of notes in which some were written down twice, in other words."""
    made: list[str] = []
    for _ in range(lines):
        if made and random.random() < 0.15:
            words = random.choice(made).rstrip(".").split()
            words[random.randrange(len(words))] = random.choice(THINGS)
            made.append(" ".join(words) + ".")
        else:
            made.append(f"- {sentence(random)}")
    return "\n".join(made)


def document(random: Random) -> str:
    """Make a Markdown document: sections, a table now and then, a command, links between sections."""
    subject = f"{random.choice(QUALITIES)} {random.choice(SUBJECTS)}"
    parts = [f"# The {subject} {random.choice(THINGS)}", sentence(random)]
    titles = [f"{random.choice(QUALITIES).title()} {random.choice(THINGS)}" for _ in range(random.randint(8, 12))]
    for title in titles:
        parts += [f"## {title}", prose(random, random.randint(2, 5))]
        if random.random() < 0.5:
            parts += [f"### {random.choice(THINGS).title()}", notes(random, random.randint(2, 6))]
        if random.random() < 0.25:
            parts.append(_table(random))
        if random.random() < 0.15:
            parts.append(f"```\nprint --copies {random.randint(1, 9)}  # {random.choice(THINGS)}\n```")
        if random.random() < 0.5:
            parts.append(f"See [{random.choice(THINGS)}](#{random.choice(titles).casefold().replace(' ', '-')}).")
    return "\n\n".join(parts) + "\n"


def date_call(random: Random) -> tuple[str, Arguments]:
    """Choose a method of `dates` and its arguments."""
    start = _FIRST_DAY + timedelta(days=random.randrange(700))
    method = random.choice(("parse", "parse", "working_days", "add_working_days", "next_weekday"))
    if method == "parse":
        return method, {"text": _written(random, start)}
    if method == "working_days":
        return method, {"start": str(start), "end": str(start + timedelta(days=random.randint(1, 120)))}
    if method == "add_working_days":
        return method, {"start": str(start), "days": random.randint(1, 40)}
    return method, {"start": str(start), "weekday": random.choice(("monday", "wednesday", "friday", "sunday"))}


def conversion(random: Random) -> Arguments:
    """Choose what to convert."""
    source, target, low, high = random.choice(CONVERSIONS)
    return {"value": random.randint(low, high), "from_unit": source, "to_unit": target}


def exchange(random: Random) -> Arguments:
    """Choose how much money to change, at the rates of the day."""
    source, target = random.sample(sorted(RATES), 2)
    rates = {currency: round(rate * random.uniform(0.97, 1.03), 4) for currency, rate in RATES.items()}
    return {"amount": random.randint(5, 900), "from_currency": source, "to_currency": target, "rates": rates}


def wish(random: Random) -> str:
    """Put a conversion into the words of somebody who asks for it."""
    wanted = conversion(random)
    source = (
        wanted["from_unit"] if wanted["from_unit"].endswith(("celsius", "fahrenheit")) else f"{wanted['from_unit']}s"
    )
    return random.choice(_WISHES).format(value=wanted["value"], source=source, target=wanted["to_unit"])


def _table(random: Random) -> str:
    rows = [
        f"| {random.choice(THINGS)} | {random.choice(ACTORS)} | {random.randint(2, 900)} |"
        for _ in range(random.randint(2, 6))
    ]
    return "\n".join(["| Thing | Who | Pieces |", "|---|---|---:|", *rows])


def _written(random: Random, day: date) -> str:
    month = MONTHS[day.month - 1]
    return random.choice(_DATE_FORMS).format(d=day.day, m=day.month, y=day.year, month=month, short=month[:3])
