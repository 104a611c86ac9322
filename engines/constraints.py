"""Spec 6.2, version constraints - decides whether a version is within a range.

The ranges are npm's: `1.2.3`, `=1.2.3`, `^1.2`, `~1.2`, `>=1 <2`, `1.x`, `*`, `1.0 - 1.4`, alternatives joined by `||`
(github.com/npm/node-semver, section "Ranges").

Rules:
- A space joins conditions that must all hold, `||` ranges of which one must.
- `^` keeps the leftmost number that is not zero, `~` the minor number; missing numbers are open.
- A pre-release is within a range only when a bound of the same three numbers names a pre-release too.

Not here: choosing among versions (`engines/dependencies.py`).
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final, NamedTuple

from domain.errors import InvalidInput
from domain.versions import SemanticVersion

_PART: Final = r"(?:0|[1-9]\d*|[xX*])"
_PARTIAL: Final = re.compile(
    rf"v?({_PART})(?:\.({_PART}))?(?:\.({_PART}))?(-[0-9A-Za-z.-]+)?(\+[0-9A-Za-z.-]+)?", re.ASCII
)
_CONDITION: Final = re.compile(r"(\^|~>?|>=|<=|>|<|=)?\s*([^\s^~<>=|]+)")
_HYPHEN: Final = re.compile(r"(\S+)\s+-\s+(\S+)")
_NEVER: Final = SemanticVersion("0.0.0-0")


class _Bound(NamedTuple):
    """A half-line of versions; `exact` admits one version only."""

    operator: str
    version: SemanticVersion


class _Partial(NamedTuple):
    """A version whose last numbers may be open."""

    numbers: tuple[int, ...]
    prerelease: str

    @property
    def floor(self) -> SemanticVersion:
        return _version((*self.numbers, 0, 0, 0)[:3], self.prerelease)

    def next_at(self, position: int) -> SemanticVersion:
        """Return the lowest version in which the number at `position` is one higher, pre-releases of it included."""
        numbers = (*self.numbers[:position], self.numbers[position] + 1, 0, 0, 0)[:3]
        return _version(numbers, "-0")


def satisfies(version: SemanticVersion, constraint: str) -> bool:
    """Say whether a version is within a range.

    Raises:
        InvalidInput: the text is no range.
    """
    return any(_within(version, bounds) for bounds in _parse(constraint))


def _within(version: SemanticVersion, bounds: tuple[_Bound, ...]) -> bool:
    if not all(_holds(version, bound) for bound in bounds):
        return False
    named = (bound.version for bound in bounds if bound.version.prerelease and bound.version.prerelease != ("0",))
    return not version.prerelease or any(other.numbers == version.numbers for other in named)


def _holds(version: SemanticVersion, bound: _Bound) -> bool:
    same = version.numbers == bound.version.numbers and version.prerelease == bound.version.prerelease
    above = not same and version > bound.version
    return {
        "=": same,
        ">": above,
        ">=": above or same,
        "<": not above and not same,
        "<=": not above,
    }[bound.operator]


@lru_cache(maxsize=4_096)
def _parse(constraint: str) -> tuple[tuple[_Bound, ...], ...]:
    return tuple(_alternative(part.strip(), constraint) for part in constraint.split("||"))


def _alternative(text: str, whole: str) -> tuple[_Bound, ...]:
    if not text:
        return ()
    hyphen = _HYPHEN.fullmatch(text)
    if hyphen:
        low, high = _partial(hyphen[1], whole), _partial(hyphen[2], whole)
        return (_Bound(">=", low.floor), *_up_to(high))
    rest = _CONDITION.sub("", text)
    if rest.strip():
        raise _invalid(whole)
    return tuple(
        bound for operator, version in _CONDITION.findall(text) for bound in _bounds(operator, _partial(version, whole))
    )


def _bounds(operator: str, partial: _Partial) -> tuple[_Bound, ...]:
    if not partial.numbers:
        return (_Bound("<", _NEVER),) if operator in {"<", ">"} else ()
    last = len(partial.numbers) - 1
    match operator:
        case "^":
            leading = next((place for place, number in enumerate(partial.numbers) if number), last)
            return _Bound(">=", partial.floor), _Bound("<", partial.next_at(leading))
        case "~" | "~>":
            return _Bound(">=", partial.floor), _Bound("<", partial.next_at(min(1, last)))
        case ">":
            return (_Bound(">", partial.floor) if last == 2 else _Bound(">=", _open(partial.next_at(last))),)
        case "<=":
            return _up_to(partial)
        case ">=" | "<":
            return (_Bound(operator, partial.floor if operator == ">=" or last == 2 else _below(partial)),)
        case _:
            exact = (_Bound("=", partial.floor),)
            return exact if last == 2 else (_Bound(">=", partial.floor), _Bound("<", partial.next_at(last)))


def _up_to(partial: _Partial) -> tuple[_Bound, ...]:
    if not partial.numbers:
        return ()
    last = len(partial.numbers) - 1
    return (_Bound("<=", partial.floor) if last == 2 else _Bound("<", partial.next_at(last)),)


def _open(version: SemanticVersion) -> SemanticVersion:
    """Return the release that a `-0` bound stands before."""
    return SemanticVersion(version.removesuffix("-0"))


def _below(partial: _Partial) -> SemanticVersion:
    return _version((*partial.numbers, 0, 0, 0)[:3], "-0")


def _partial(text: str, whole: str) -> _Partial:
    found = _PARTIAL.fullmatch(text)
    if found is None:
        raise _invalid(whole)
    numbers: list[int] = []
    for part in found.group(1, 2, 3):
        if part is None or part in "xX*":
            break
        numbers.append(int(part))
    return _Partial(tuple(numbers), (found[4] or "") if len(numbers) == 3 else "")


def _version(numbers: tuple[int, ...], prerelease: str) -> SemanticVersion:
    return SemanticVersion(".".join(map(str, numbers)) + prerelease)


def _invalid(constraint: str) -> InvalidInput:
    return InvalidInput(
        f"{constraint!r} is not a version range.",
        hint="Write it as npm does, for example ^1.2.0, ~1.2, >=1 <3, 1.x or *.",
    )
