"""How often gates take a sound version back, and how soon they find a bad one, beside the counters that others use.

    python -m benchmarks.gate_table [--quick]

Rules:
- One gate, an error rate below 0.5 %, looked at hourly in a stage of 48 hours; calls come at random, as many an hour as
  the row says.
- The peers are models of what their sources do. Argo Rollouts: the error rate of the last two hours fails when it is at
  or above the limit, and more failures than `failureLimit` in all end the rollout; empty windows are left out here,
  though by default they end it, too. Flagger: a failed or empty check counts, five in all end it.
- Late decay: sound for 40 hours, then bad, watched for 168.

Not here: the gates (`engines/gates.py`).
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from statistics import median

import numpy as np

from engines.evidence import Counts, detector, log_e_above
from engines.gates import BAD, DECAYED

LIMIT = 0.005
STAGE_HOURS, WATCH_HOURS, SOUND_HOURS = 48, 168, 40
CALLS_AN_HOUR = (1, 5, 25, 100, 500)
SOUND, NEAR, BROKEN, WORSE = 0.001, 0.004, 0.10, 0.02
ARGO_LIMIT, FLAGGER_LIMIT = 3, 5
SEED = 20_260_101

Judge = Callable[[Sequence[Counts]], int | None]
"""Returns the hour, counted from 1, in which the version is taken back."""


def gates(hours: Sequence[Counts]) -> int | None:
    """Judge as this product does."""
    sums = accumulate(hours, lambda before, one: Counts(before.n + one.n, before.bad + one.bad))
    paths = zip(sums, detector(LIMIT, hours), strict=True)
    return _first(log_e_above(LIMIT, *seen) >= BAD or decay >= DECAYED for seen, decay in paths)


def argo(limit: int) -> Judge:
    """Return a judge that counts failed windows, and ends at more than `limit`."""

    def judge(hours: Sequence[Counts]) -> int | None:
        failed = accumulate(window.n > 0 and window.bad / window.n >= LIMIT for window in _windows(hours))
        return _first(count > limit for count in failed)

    return judge


def flagger(hours: Sequence[Counts]) -> int | None:
    """Judge by failed and empty checks."""
    failed = accumulate(window.n == 0 or window.bad / window.n >= LIMIT for window in _windows(hours))
    return _first(count >= FLAGGER_LIMIT for count in failed)


JUDGES: Mapping[str, Judge] = {
    "these gates": gates,
    "Argo, failureLimit 0": argo(0),
    f"Argo, failureLimit {ARGO_LIMIT}": argo(ARGO_LIMIT),
    f"Flagger, threshold {FLAGGER_LIMIT}": flagger,
}


@dataclass(frozen=True)
class Row:
    """What a judge did to one kind of version at one call rate.

    Attributes:
        taken_back: share of the runs.
        hours: median until then, None when it was never.
    """

    judge: str
    calls: int
    taken_back: float
    hours: float | None


def table(rates: Sequence[float], runs: int, calls: Sequence[int] = CALLS_AN_HOUR, since: int = 0) -> list[Row]:
    """Return what every judge does to a version whose true error rate is `rates`, hour by hour.

    Args:
        rates: share of bad calls of each hour.
        runs: of each row.
        calls: of an hour; one row for each.
        since: the hour from which the hours until it is found are counted.
    """
    random = np.random.default_rng(SEED)
    rows = []
    for number in calls:
        traces = [_trace(random, number, rates) for _ in range(runs)]
        for name, judge in JUDGES.items():
            found = [hour - since for hour in map(judge, traces) if hour is not None]
            rows.append(Row(name, number, len(found) / runs, median(found) if found else None))
    return rows


def _trace(random: np.random.Generator, calls: int, rates: Sequence[float]) -> list[Counts]:
    numbers = random.poisson(calls, len(rates))
    bad = random.binomial(numbers, rates)
    return [Counts(int(n), int(k)) for n, k in zip(numbers, bad, strict=True)]


def _windows(hours: Sequence[Counts]) -> Iterator[Counts]:
    """Yield the last two hours of every hour."""
    for index in range(len(hours)):
        pair = hours[max(0, index - 1) : index + 1]
        yield Counts(sum(one.n for one in pair), sum(one.bad for one in pair))


def _first(alarms: Iterator[bool]) -> int | None:
    return next((hour for hour, alarm in enumerate(alarms, start=1) if alarm), None)


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the tables."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gate_table", description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="100 runs of each row instead of 1,500")
    runs = 100 if parser.parse_args(arguments).quick else 1_500
    late = [SOUND] * SOUND_HOURS + [WORSE] * (WATCH_HOURS - SOUND_HOURS)
    for title, rates, since in (
        (f"sound, {SOUND:.1%} of the calls fail: taken back", [SOUND] * STAGE_HOURS, 0),
        (f"sound, {NEAR:.1%} fail: taken back", [NEAR] * STAGE_HOURS, 0),
        (f"broken, {BROKEN:.0%} fail: found, median hour", [BROKEN] * STAGE_HOURS, 0),
        (f"worse, {WORSE:.0%} fail: found, median hour", [WORSE] * STAGE_HOURS, 0),
        (f"sound for {SOUND_HOURS} h, then {WORSE:.0%}: found, median hours later", late, SOUND_HOURS),
    ):
        print(f"\n{title}\n{'calls/h':<22}" + "".join(f"{calls:>16}" for calls in CALLS_AN_HOUR))
        rows = table(rates, runs, since=since)
        for name in JUDGES:
            cells = [_cell(row) for row in rows if row.judge == name]
            print(f"{name:<22}" + "".join(f"{cell:>16}" for cell in cells), flush=True)
    return 0


def _cell(row: Row) -> str:
    return f"{row.taken_back:.1%}" + (f" {row.hours:g} h" if row.hours is not None else "")


if __name__ == "__main__":
    sys.exit(main())
