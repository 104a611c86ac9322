"""Spec 2.1, requirement parsing - decides which words of a text count, and how well they fit a package.

Rules:
- Words are lower case, without stop words, numbers and endings; the endings are few, so that no two meanings meet.
- A word that a package says of itself as a name or keyword counts whole, one from its descriptions half.
- A word that many plugins share tells little: it counts the less, the more of them use it.

Not here: what follows from a fit (`engines/gaps.py`).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from domain.contracts import PluginContract

_SMALL: Final = (
    "a an and any are as at be been being but by can cannot could did do does doing done for from get give given had "
    "has have help her his how i if in into is it its just let like me more my need needs no not of off on one or "
    "other our out over please should so some tell than that the their them then there these they thing this those to "
    "too up us use used using want wants was we were what when where which who why will with would you your "
    "able add agent capability feature make new plugin support tool"
)
STOP_WORDS: Final = frozenset(_SMALL.split())
_WORD = re.compile(r"[^\W\d_]+")
_ENDINGS: Final = (("ies", "y"), ("ing", ""), ("ed", ""), ("s", ""))
WEAK: Final = 0.5


class Profile(NamedTuple):
    """The words of one package: those it is called by, and those it is described with."""

    strong: frozenset[str]
    weak: frozenset[str]


def words(text: str) -> frozenset[str]:
    """Return the words of a text that count, reduced to their stems."""
    found = (match.group().casefold() for match in _WORD.finditer(text.replace("_", " ")))
    return frozenset(stem(word) for word in found if len(word) > 1 and word not in STOP_WORDS)


def stem(word: str) -> str:
    """Cut one ending from a lower-case word if at least three letters stay, then a doubled letter and a final e."""
    for ending, instead in _ENDINGS:
        if word.endswith(ending) and len(word) - len(ending) >= 3 and not word.endswith(("ss", "us", "is")):
            word = word.removesuffix(ending) + instead
            if ending in {"ing", "ed"} and word[-1] == word[-2] and word[-1] not in "lsz":
                word = word[:-1]
            break
    return word.removesuffix("e") if len(word) > 3 else word


def profile(contract: PluginContract) -> Profile:
    """Return the words that a plugin says of itself."""
    methods = [method for interface in contract.provided_interfaces for method in interface.methods]
    names = [contract.name, *contract.capabilities, *contract.keywords, *(method.name for method in methods)]
    strong = words(" ".join(names))
    return Profile(
        strong, words(" ".join([contract.description, *(method.description for method in methods)])) - strong
    )


def rarity(profiles: Sequence[tuple[str, Profile]]) -> dict[str, float]:
    """Return, for each word, one over the number of plugins (by name) that use it."""
    users = Counter(word for _, word in {(name, word) for name, own in profiles for word in own.strong | own.weak})
    return {word: 1 / count for word, count in users.items()}


def fit(asked: frozenset[str], own: Profile, rare: Mapping[str, float]) -> float:
    """Return how well a package fits what was asked, in [0, 1]: its part of the weight of all words asked.

    Zero unless at least one of the words it is called by was asked for.
    """
    if not asked & own.strong:
        return 0.0
    share = {word: 1.0 if word in own.strong else WEAK if word in own.weak else 0.0 for word in asked}
    weight = {word: rare.get(word, 1.0) for word in asked}
    return sum(weight[word] * share[word] for word in sorted(asked)) / sum(weight[word] for word in sorted(asked))
