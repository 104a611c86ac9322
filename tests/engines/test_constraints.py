"""Spec 6.2, version constraints: npm's ranges. Reference: the examples of node-semver's README, section "Ranges"."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.errors import InvalidInput
from domain.versions import SemanticVersion
from engines.constraints import satisfies

VERSIONS = st.builds("{}.{}.{}".format, st.integers(0, 4), st.integers(0, 4), st.integers(0, 4)).map(SemanticVersion)


@pytest.mark.parametrize(
    ("constraint", "inside", "outside"),
    [
        ("1.2.7", ["1.2.7"], ["1.2.8", "1.2.6"]),
        ("=1.2.7", ["1.2.7"], ["1.3.0"]),
        (">=1.2.7", ["1.2.7", "1.2.8", "2.5.3", "1.3.9"], ["1.2.6", "1.1.0"]),
        (">=1.2.7 <1.3.0", ["1.2.7", "1.2.8", "1.2.99"], ["1.2.6", "1.3.0", "1.1.0"]),
        ("1.2.7 || >=1.2.9 <2.0.0", ["1.2.7", "1.2.9", "1.4.6"], ["1.2.8", "2.0.0"]),
        ("1.2.3 - 2.3.4", ["1.2.3", "2.3.4"], ["1.2.2", "2.3.5"]),
        ("1.2 - 2.3.4", ["1.2.0"], ["1.1.9"]),
        ("1.2.3 - 2.3", ["2.3.9"], ["2.4.0"]),
        ("1.2.3 - 2", ["2.9.9"], ["3.0.0"]),
        ("*", ["0.0.0", "9.9.9"], ["1.0.0-beta.1"]),
        ("", ["0.0.0", "9.9.9"], []),
        ("1.x", ["1.0.0", "1.9.9"], ["2.0.0", "0.9.9"]),
        ("1.2.x", ["1.2.0", "1.2.9"], ["1.3.0"]),
        ("1", ["1.0.0", "1.9.9"], ["2.0.0"]),
        ("1.2", ["1.2.9"], ["1.3.0"]),
        ("~1.2.3", ["1.2.3", "1.2.9"], ["1.3.0", "1.2.2"]),
        ("~1.2", ["1.2.0"], ["1.3.0"]),
        ("~1", ["1.0.0", "1.9.0"], ["2.0.0"]),
        ("~0.2.3", ["0.2.9"], ["0.3.0"]),
        ("^1.2.3", ["1.2.3", "1.9.9"], ["2.0.0", "1.2.2", "2.0.0-alpha"]),
        ("^0.2.3", ["0.2.9"], ["0.3.0"]),
        ("^0.0.3", ["0.0.3"], ["0.0.4"]),
        ("^1.2.x", ["1.2.0", "1.9.9"], ["2.0.0"]),
        ("^0.0.x", ["0.0.9"], ["0.1.0"]),
        ("^0.0", ["0.0.9"], ["0.1.0"]),
        ("^1.x", ["1.9.9"], ["2.0.0"]),
        ("^0.x", ["0.9.9"], ["1.0.0"]),
        (">1.2.3-alpha.3", ["1.2.3-alpha.7", "3.4.5"], ["3.4.5-alpha.9", "1.2.3-alpha.3"]),
        ("~1.2.3-beta.2", ["1.2.3-beta.4", "1.2.4"], ["1.2.4-beta.2"]),
        ("^1.2.3-beta.2", ["1.2.3-beta.4"], ["1.2.4-beta.2"]),
        (">1.2", ["1.3.0"], ["1.2.9"]),
        ("<=1.2", ["1.2.9"], ["1.3.0"]),
        ("<1.2", ["1.1.9"], ["1.2.0"]),
        ("> 1.0.0", ["1.0.1"], ["1.0.0"]),
        ("<*", [], ["0.0.0", "1.0.0"]),
    ],
)
def test_ranges_of_the_npm_documentation(constraint: str, inside: list[str], outside: list[str]) -> None:
    assert [text for text in inside if not satisfies(SemanticVersion(text), constraint)] == []
    assert [text for text in outside if satisfies(SemanticVersion(text), constraint)] == []


def test_build_metadata_does_not_count() -> None:
    assert satisfies(SemanticVersion("1.2.3+build.7"), "1.2.3")


@pytest.mark.parametrize("constraint", ["latest", "^^1.0.0", ">=", "1.2.3.4", "01.2.3", "git+https://x", "1.0.0 &&"])
def test_what_is_no_range_is_refused(constraint: str) -> None:
    with pytest.raises(InvalidInput, match="is not a version range"):
        satisfies(SemanticVersion("1.0.0"), constraint)


@given(VERSIONS, VERSIONS)
def test_less_equal_and_greater_split_the_versions(version: SemanticVersion, bound: SemanticVersion) -> None:
    assert satisfies(version, f"<={bound}") is not satisfies(version, f">{bound}")
    assert satisfies(version, f">={bound}") is not satisfies(version, f"<{bound}")
    assert satisfies(version, f"<{bound} || >={bound}")


@given(VERSIONS, VERSIONS)
def test_a_caret_is_no_narrower_than_a_tilde_from_one_on(version: SemanticVersion, bound: SemanticVersion) -> None:
    if bound.numbers[0] and satisfies(version, f"~{bound}"):
        assert satisfies(version, f"^{bound}")
