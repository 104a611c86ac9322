"""Spec 3.2, SemanticVersion - decides what a version is and which of two is newer.

Rules (semver.org 2.0.0):
- `major.minor.patch`, numbers without leading zeros; an optional pre-release after `-`, an optional build after `+`.
- Precedence compares the three numbers, then the pre-release identifiers (section 11); build metadata does not count.

Not here: ranges and constraints, which belong to dependency resolution.
"""

from __future__ import annotations

import re
from functools import total_ordering
from typing import Any

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

_PATTERN = re.compile(
    r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)"
    r"(?:-((?:0|[1-9]\d*|\d*[A-Za-z-][0-9A-Za-z-]*)(?:\.(?:0|[1-9]\d*|\d*[A-Za-z-][0-9A-Za-z-]*))*))?"
    r"(?:\+([0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*))?",
    re.ASCII,
)


@total_ordering
class SemanticVersion(str):
    """A version as its text, ordered by precedence.

    Equality is that of the text, so two builds of one version stay distinct; they sort by their text.
    """

    def __new__(cls, text: str) -> SemanticVersion:
        """Refuse what is not a version."""
        if _PATTERN.fullmatch(text) is None:
            raise ValueError(f"{text!r} is not a semantic version such as 1.4.0 or 2.0.0-beta.1")
        return super().__new__(cls, text)

    @property
    def numbers(self) -> tuple[int, int, int]:
        """Major, minor and patch."""
        major, minor, patch = self._match().group(1, 2, 3)
        return int(major), int(minor), int(patch)

    @property
    def prerelease(self) -> tuple[str, ...]:
        """The pre-release identifiers, empty for a release."""
        text = self._match().group(4)
        return tuple(text.split(".")) if text else ()

    def __lt__(self, other: str) -> bool:
        if not isinstance(other, SemanticVersion):
            return NotImplemented
        return self._order() < other._order()

    def __gt__(self, other: str) -> bool:
        if not isinstance(other, SemanticVersion):
            return NotImplemented
        return self._order() > other._order()

    __hash__ = str.__hash__

    def _match(self) -> re.Match[str]:
        found = _PATTERN.fullmatch(self)
        assert found is not None
        return found

    def _order(self) -> tuple[tuple[int, int, int], bool, tuple[tuple[bool, int, str], ...], str]:
        identifiers = tuple((not part.isdigit(), int(part) if part.isdigit() else 0, part) for part in self.prerelease)
        return self.numbers, not self.prerelease, identifiers, str(self)

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(cls, core_schema.str_schema())

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return {**handler(schema), "pattern": f"^{_PATTERN.pattern}$"}
