"""The benchmark of assignments: every way that is here is measured, and a record says what a route would."""

from __future__ import annotations

import pytest

from benchmarks.assignments import RECORD, ROUTER, SALT, SHARE, a_route, lines, main, measure, ways
from domain.routing import VariantName
from engines.placement import slot
from engines.routing import Router


def test_every_way_places_and_the_record_says_what_the_router_does() -> None:
    found = ways()
    assert {"raw xxh3", "slot", ROUTER, RECORD} <= set(found)
    for user in ("anna", "ben", "cora", "dan"):
        chosen = Router(a_route()).choose(user, user)
        assert found[ROUTER](user) is chosen
        record = found[RECORD](user)
        assert isinstance(record, dict)
        assert record["value"] == chosen
        assert (chosen is VariantName.CANDIDATE) is (slot(SALT, user) < SHARE * 10_000)


def test_it_says_how_the_goals_fared(capsys: pytest.CaptureFixture[str]) -> None:
    told = lines({"raw xxh3": 9.0, ROUTER: 6.0, RECORD: 2.0, "GrowthBook": 0.5})
    assert "full record to the best peer: 4.0 (goal: at least 10)" in told
    assert "router to full record: 3.0 (goal: at least 5)" in told
    assert main(["--quick"]) == 0
    assert "full record" in capsys.readouterr().out


def test_every_way_has_a_rate() -> None:
    assert all(rate > 0 for rate in measure(200, 2).values())
    assert measure(200, 1).keys() == ways().keys()
