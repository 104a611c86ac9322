"""When a version that keeps failing is left alone, and when it is tried again."""

from __future__ import annotations

import pytest

from domain.calls import ErrorKind
from plugins.core.breaker import FAULTS, FAULTS_IN_A_ROW, LONGEST_PAUSE_SECONDS, Breaker


def tripped(now: float = 0.0) -> Breaker:
    breaker = Breaker()
    for _ in range(FAULTS_IN_A_ROW):
        assert breaker.wait(now) == 0
        breaker.ended(now, ErrorKind.TIMEOUT)
    return breaker


def test_a_sound_version_is_never_left_alone() -> None:
    breaker = Breaker()
    for now in range(100):
        assert breaker.wait(now) == 0
        assert not breaker.ended(now, None)


@pytest.mark.parametrize("kind", sorted(set(ErrorKind) - FAULTS))
def test_what_is_not_the_versions_silence_or_nonsense_is_no_fault(kind: ErrorKind) -> None:
    breaker = Breaker()
    for _ in range(3 * FAULTS_IN_A_ROW):
        breaker.ended(0, kind)
    assert not breaker.is_open


def test_faults_in_a_row_open_the_circuit_and_the_last_one_says_so() -> None:
    breaker = Breaker()
    assert [breaker.ended(0, ErrorKind.INVALID_RESULT) for _ in range(FAULTS_IN_A_ROW)] == [
        *[False] * (FAULTS_IN_A_ROW - 1),
        True,
    ]
    assert breaker.wait(0.4) == pytest.approx(0.6)


def test_what_never_reached_the_version_neither_ends_a_row_nor_a_trial() -> None:
    breaker = Breaker()
    for _ in range(FAULTS_IN_A_ROW - 1):
        breaker.ended(0, ErrorKind.TIMEOUT)
    breaker.ended(0, ErrorKind.UNAVAILABLE)
    assert breaker.ended(0, ErrorKind.TIMEOUT)
    assert breaker.wait(1.0) == 0
    assert not breaker.ended(1.0, ErrorKind.CANCELLED)
    assert breaker.is_open
    assert breaker.wait(1.0) == 0


def test_one_sound_answer_in_between_begins_a_new_row() -> None:
    breaker = Breaker()
    for _ in range(5):
        for _ in range(FAULTS_IN_A_ROW - 1):
            breaker.ended(0, ErrorKind.PLUGIN_CRASH)
        breaker.ended(0, ErrorKind.TOOL_ERROR)
    assert not breaker.is_open


def test_after_the_pause_one_call_tries_and_the_others_wait_for_it() -> None:
    breaker = tripped()
    assert breaker.wait(1.0) == 0
    assert breaker.wait(1.0) > 0
    assert breaker.ended(1.1, None)
    assert breaker.wait(1.1) == 0
    assert breaker.wait(1.1) == 0


def test_every_trial_in_vain_doubles_the_pause_up_to_a_limit() -> None:
    breaker, now, pauses = tripped(), 0.0, []
    for _ in range(9):
        pause = breaker.wait(now)
        pauses.append(pause)
        now += pause
        assert breaker.wait(now) == 0
        assert not breaker.ended(now, ErrorKind.TIMEOUT)
    assert pauses == [1, 2, 4, 8, 16, 32, LONGEST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS]


def test_a_closed_circuit_begins_with_the_short_pause_again() -> None:
    breaker = tripped()
    breaker.wait(1.0)
    breaker.ended(1.0, ErrorKind.TIMEOUT)
    breaker.wait(3.0)
    breaker.ended(3.0, None)
    for _ in range(FAULTS_IN_A_ROW):
        breaker.ended(4.0, ErrorKind.TIMEOUT)
    assert breaker.wait(4.0) == 1.0
