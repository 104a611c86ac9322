"""Spec 13, conclusion - decides whether every section of the specification has a home, and every module a section.

Not here: how a claim is read (`tests/house/spec_map.py`).
"""

from __future__ import annotations

from collections import Counter

import pytest

from tests.house.spec_map import MISSION, SECTIONS, WAITING, claims, headings, page, parse


def test_every_module_says_which_section_it_is_about_and_what_it_decides() -> None:
    silent = {file: paragraph for _, file, paragraph in headings() if parse(paragraph) is None}
    assert silent == {}


def test_every_claimed_section_exists() -> None:
    assert {claim.file: claim.section for claim in claims() if claim.section not in SECTIONS} == {}


def test_every_section_is_claimed_or_waits() -> None:
    claimed = {claim.section for claim in claims()}
    assert sorted(SECTIONS.keys() - claimed - WAITING.keys()) == [], "nobody claims these; add them or let them wait"
    assert sorted(WAITING.keys() & claimed) == [], "these are built; take them off the waiting list"


def test_no_two_modules_of_a_room_make_the_same_claim() -> None:
    made = Counter((claim.room, claim.section, claim.subject.lower()) for claim in claims())
    assert [claim for claim, times in made.items() if times > 1] == []


def test_the_mission_page_is_up_to_date() -> None:
    assert MISSION.read_text(encoding="utf-8") == page(claims()), "run: python -m tests.house.spec_map"


@pytest.mark.parametrize(
    ("text", "sections"),
    [
        ("Spec 9.1, audit logger - decides what an entry is.", ["9.1"]),
        ("Spec 4.1 and 5.1, routing - decides what a\nroute is.", ["4.1", "5.1"]),
        ("Spec 7.1, 7.2 and 7.3, measuring - decides it.", ["7.1", "7.2", "7.3"]),
        ("Appendix B, approve_upgrade and reject_upgrade - decides it.", ["B"]),
        ("Spec 9.1 and Appendix A, a - decides b.", ["9.1", "A"]),
    ],
)
def test_a_claim_may_name_several_sections(text: str, sections: list[str]) -> None:
    found = parse(text)
    assert found is not None
    assert found[0] == sections


@pytest.mark.parametrize("text", ["", "Helpers.", "Spec 9, loop - decides it.", "Spec 9.1 - decides it."])
def test_other_first_lines_are_no_claims(text: str) -> None:
    assert parse(text) is None
