"""Spec 5.1, the decision log - decides how a rollout's looks read as a page of their own.

Rules:
- One HTML file without scripts and without anything from elsewhere: it can be kept, mailed and printed.
- What was decided stands over what was seen: the candidate's share, and for each gate the share of bad calls with the
  bounds between which the true one lies at 95 %, however often one looks.
- Every look is on the page; looks that said nothing new are folded away.

Not here: what is decided (`engines/rollouts.py`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from html import escape
from itertools import groupby
from typing import Final, NamedTuple

from domain.rollouts import GateLogEntry, Metric, Rollout, RolloutAction
from engines.evidence import bounds
from engines.gates import GOOD, SLOW_SHARE

WIDTH, HEIGHT, LEFT, TOP, BOTTOM = 960, 150, 56, 14, 22
MARKS: Final = {RolloutAction.ADVANCE: "▲", RolloutAction.PAUSE: "■", RolloutAction.ROLLBACK: "✖"}
"""What is drawn for a decision, beside its colour."""
LEAST_TOP: Final = 0.001
STYLE: Final = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 1020px; margin: 2em auto; padding: 0 1em; color: #1c2430; }
h1 { font-size: 1.5em; margin-bottom: 0; } h2 { font-size: 1.05em; margin: 1.6em 0 .2em; } p.state { margin-top: .2em; }
table { border-collapse: collapse; width: 100%; } th { text-align: left; font-weight: 600; }
td, th { padding: .3em .7em .3em 0; border-bottom: 1px solid #d9dee5; vertical-align: top; }
svg { width: 100%; height: auto; display: block; } svg text { font: 11px system-ui, sans-serif; fill: #56606e; }
.line { fill: none; stroke: #1f5fae; stroke-width: 1.6; } .band { fill: #1f5fae22; stroke: none; }
.limit { stroke: #b3261e; stroke-dasharray: 5 4; } .axis { stroke: #d9dee5; } td:first-child { white-space: nowrap; }
.advance, svg text.advance { color: #1a7f37; fill: #1a7f37; } .pause, svg text.pause { color: #9a6700; fill: #9a6700; }
.rollback, svg text.rollback { color: #b3261e; fill: #b3261e; } .hold { color: #56606e; } summary { cursor: pointer; }
"""


class Point(NamedTuple):
    """A value at a moment, and the bounds around it."""

    at: datetime
    value: float
    low: float
    high: float


class Scale(NamedTuple):
    """How moments and values lie on a chart."""

    first: datetime
    last: datetime
    top: float

    def x(self, at: datetime) -> float:
        """Return where a moment lies."""
        whole = (self.last - self.first).total_seconds() or 1.0
        return LEFT + (at - self.first).total_seconds() / whole * (WIDTH - LEFT - 8)

    def y(self, value: float) -> float:
        """Return where a value lies."""
        return TOP + (1 - min(value, self.top) / self.top) * (HEIGHT - TOP - BOTTOM)


def page(rollout: Rollout, looks: Sequence[GateLogEntry]) -> str:
    """Return a rollout as one HTML document."""
    title = (
        f"{rollout.capability}: {rollout.control.version if rollout.control else 'new'} → {rollout.candidate.version}"
    )
    state = f"<b>{rollout.status}</b> {escape(rollout.reason)} · {escape(rollout.id)}"
    body = "".join((*_charts(rollout, looks), _stages(rollout), _log(looks)))
    head = f'<meta charset="utf-8"><title>{escape(title)}</title><style>{STYLE}</style>'
    shown = f'<h1>{escape(title)}</h1><p class="state">{state}</p>{body}'
    return f'<!doctype html><html lang="en"><head>{head}</head><body>{shown}</body></html>\n'


def _charts(rollout: Rollout, looks: Sequence[GateLogEntry]) -> Iterator[str]:
    if not looks:
        yield "<p>Nobody has looked yet.</p>"
        return
    first, last = looks[0].at, looks[-1].at
    shares = {stage.name: stage.share for stage in rollout.plan.stages}
    served = [Point(look.at, shares[look.stage], shares[look.stage], shares[look.stage]) for look in looks]
    yield _chart("Share of the callers", served, Scale(first, last, 1.0), None, looks)
    for metric, threshold in dict.fromkeys(_gates(looks)):
        seen = list(_seen(looks, metric, threshold))
        limit = SLOW_SHARE.get(metric, threshold)
        top = max(LEAST_TOP, 2 * limit, *(min(1.2 * point.value, 1.0) for point in seen))
        yield _chart(_title_of(metric, threshold), seen, Scale(first, last, top), limit, looks)


def _gates(looks: Sequence[GateLogEntry]) -> Iterator[tuple[Metric, float]]:
    for look in looks:
        yield from ((gate.metric, gate.threshold) for gate in look.decision.evaluations)


def _title_of(metric: Metric, threshold: float) -> str:
    slower = f"Calls slower than {threshold:g} ms ({metric})"
    return slower if metric in SLOW_SHARE else f"Calls that failed ({metric})"


def _seen(looks: Sequence[GateLogEntry], metric: Metric, threshold: float) -> Iterator[Point]:
    for look in looks:
        for gate in look.decision.evaluations:
            if (gate.metric, gate.threshold) == (metric, threshold):
                yield Point(look.at, gate.bad / gate.n if gate.n else 0.0, *bounds(gate.n, gate.bad, GOOD))


def _chart(
    title: str, points: Sequence[Point], scale: Scale, limit: float | None, looks: Sequence[GateLogEntry]
) -> str:
    """Return one chart: a band, a line, the limit, and what was decided."""
    around = [*((p.at, p.high) for p in points), *((p.at, p.low) for p in reversed(points))]
    line = [(point.at, point.value) for point in points]
    parts = [
        _across("axis", scale.y(0)),
        _label(0, scale.y(0), "0"),
        _label(0, scale.y(scale.top), f"{scale.top:.3g}"),
        f'<polygon class="band" points="{_path(around, scale)}"/>',
        f'<polyline class="line" points="{_path(line, scale)}"/>',
    ]
    if limit is not None:
        parts += [_across("limit", scale.y(limit)), _label(0, scale.y(limit), f"{limit:.3g}")]
    parts += [_mark(look, scale) for look in looks if look.decision.action in MARKS]
    ends = ((LEFT, scale.first), (WIDTH - 72, scale.last))
    parts += [_label(x, HEIGHT - 6, f"{at:%m-%d %H:%M}") for x, at in ends]
    box = f'viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(title)}"'
    return f"<h2>{escape(title)}</h2><svg {box}>{''.join(parts)}</svg>"


def _across(kind: str, y: float) -> str:
    return f'<line class="{kind}" x1="{LEFT}" x2="{WIDTH}" y1="{y:.1f}" y2="{y:.1f}"/>'


def _path(points: Sequence[tuple[datetime, float]], scale: Scale) -> str:
    return " ".join(f"{scale.x(at):.1f},{scale.y(value):.1f}" for at, value in points)


def _label(x: float, y: float, text: str) -> str:
    return f'<text x="{max(x, 2):.0f}" y="{y + 4:.0f}">{text}</text>'


def _mark(look: GateLogEntry, scale: Scale) -> str:
    action = look.decision.action
    told = escape(f"{look.at:%m-%d %H:%M} {action}: {look.decision.reason}")
    return (
        f'<text class="{action}" x="{scale.x(look.at) - 5:.1f}" y="{TOP}">{MARKS[action]}<title>{told}</title></text>'
    )


def _stages(rollout: Rollout) -> str:
    rows = (
        (stage.name, f"{stage.share:.0%}", stage.status, f"{stage.bad} of {stage.n}", stage.reason)
        for stage in rollout.stages
    )
    return f"<h2>Stages</h2>{_table(('stage', 'share', 'status', 'bad calls', 'why'), rows)}"


def _log(looks: Sequence[GateLogEntry]) -> str:
    """Return the looks that said something new, and behind a fold all of them."""
    runs = groupby(looks, key=lambda look: (look.stage, look.decision.action, _verdicts(look)))
    news = [next(run) for _, run in runs]
    told, all_ = _looks(news), _looks(looks)
    fold = f"<details><summary>All {len(looks)} looks</summary>{all_}</details>"
    return f"<h2>Decisions</h2>{told}{fold}"


def _looks(looks: Sequence[GateLogEntry]) -> str:
    headings = ("at (UTC)", "stage", "decision", "gates", "why")
    rows = (
        (f"{look.at:%Y-%m-%d %H:%M:%S}", look.stage, look.decision.action, _verdicts(look), look.decision.reason)
        for look in looks
    )
    return _table(headings, rows)


def _verdicts(look: GateLogEntry) -> str:
    return ", ".join(f"{gate.metric} {gate.verdict}" for gate in look.decision.evaluations)


def _table(headings: Sequence[str], rows: Iterator[tuple[str, ...]]) -> str:
    head = "".join(f"<th>{heading}</th>" for heading in headings)
    body = "".join(f"<tr>{''.join(_cell(cell) for cell in row)}</tr>" for row in rows)
    return f"<table><tr>{head}</tr>{body}</table>"


def _cell(text: str) -> str:
    marked = f' class="{text}"' if text in {*RolloutAction} else ""
    return f"<td{marked}>{escape(text)}</td>"
