"""How fast a caller may call."""

from __future__ import annotations

from gateway.rate_guard import RateGuard


class Watch:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_minutes_worth_passes_at_once_and_then_one_after_the_other() -> None:
    watch = Watch()
    guard = RateGuard(60, watch)
    assert [guard.admit("ann") for _ in range(60)] == [None] * 60
    assert guard.admit("ann") == 1.0
    watch.now = 1.0
    assert guard.admit("ann") is None
    assert guard.admit("ann") == 1.0


def test_one_caller_does_not_slow_another() -> None:
    guard = RateGuard(1, Watch())
    assert guard.admit("ann") is None
    assert guard.admit("ann") is not None
    assert guard.admit("bob") is None


def test_a_quiet_hour_gives_no_more_than_a_minutes_worth() -> None:
    watch = Watch()
    guard = RateGuard(5, watch)
    guard.admit("ann")
    watch.now = 3_600
    assert [guard.admit("ann") is None for _ in range(7)] == [True] * 5 + [False] * 2


def test_it_remembers_a_bounded_number_of_callers() -> None:
    guard = RateGuard(1, Watch(), most_callers=2)
    for caller in ("ann", "bob", "eve"):
        guard.admit(caller)
    assert guard.admit("eve") is not None
    assert guard.admit("ann") is None
