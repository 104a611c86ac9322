"""Text tools, second edition: summaries of a chosen share, keyword phrases, and groups of lines that say the same.

Everything is counted, nothing is guessed: the same text always gives the same answer.
Each sentence, paragraph and line is read once; an index of who says which word does the comparing.
"""

from __future__ import annotations

import re
from collections import Counter
from itertools import pairwise
from math import ceil
from typing import Any

_WORD = re.compile(r"[^\W_]+(?:['\u2019][^\W\d_]+)*")
_PARAGRAPH_BREAK = re.compile(r"\n[ \t]*\n")
_SENTENCE_END = re.compile(r"[.!?]+[\"')\]]*(?=\s+[\"'(\[]?[A-Z0-9])")
_ABBREVIATIONS = frozenset(
    {"dr", "mr", "mrs", "ms", "prof", "st", "no", "vs", "etc", "eg", "ie", "cf", "approx", "fig"}
)
_STOP_TEXT = """
a about after all also an and another any are as at be because been before being but by can could did do does each
for from had has have he her here him his how i if in into is it its itself just may me more most must my no not
now of on once one only or other our out over own s same she should so some such t than that the their them then
there these they this those to too under until up us very was we were what when where which while who whom why
will with would you your
"""
_STOP_WORDS = frozenset(_STOP_TEXT.split())


class TextTools:
    """The methods of the capability `text`."""

    def summarise(self, text: str, share: float) -> dict[str, Any]:
        """Keep that share of the sentences, those that have most in common with the rest, in their order."""
        found = _sentences(text)
        scores = _centralities(found)
        ranked = sorted(range(len(found)), key=lambda position: (-scores[position], position))
        kept = sorted(ranked[: ceil(share * len(found))])
        return {"summary": [found[position] for position in kept], "of": len(found)}

    def keywords(self, text: str, limit: int = 10) -> dict[str, Any]:
        """Rank words and pairs of neighbouring words by how often they are said."""
        counts: Counter[str] = Counter()
        for found in _sentences(text):
            words = _content_words(found)
            counts.update(words)
            counts.update(f"{first} {second}" for first, second in pairwise(words))
        ranked = sorted(counts.items(), key=lambda row: (-row[1] * (1 + row[0].count(" ")), row[0]))
        return {"keywords": [{"phrase": phrase, "count": count} for phrase, count in ranked[:limit]]}

    def similar_lines(self, text: str, threshold: float = 0.6) -> dict[str, Any]:
        """Group the lines that share at least `threshold` of their words with another line of the group."""
        lines = [(number, set(_words(line))) for number, line in enumerate(text.splitlines(), start=1)]
        groups: list[list[tuple[int, set[str]]]] = []
        for number, words in lines:
            if not words:
                continue
            near = [group for group in groups if any(_similarity(words, other) >= threshold for _, other in group)]
            groups = [group for group in groups if group not in near]
            groups.append([member for group in near for member in group] + [(number, words)])
        return {"groups": [sorted(number for number, _ in group) for group in groups if len(group) > 1]}


def _sentences(text: str) -> list[str]:
    found = []
    for paragraph in _PARAGRAPH_BREAK.split(text):
        start = 0
        for end in _SENTENCE_END.finditer(paragraph):
            if not _ends_in_abbreviation(paragraph[start : end.start()]):
                found.append(" ".join(paragraph[start : end.end()].split()))
                start = end.end()
        found.append(" ".join(paragraph[start:].split()))
    return [sentence for sentence in found if sentence]


def _ends_in_abbreviation(text: str) -> bool:
    last = text.rsplit(None, 1)[-1] if text.strip() else ""
    return last.replace(".", "").strip("\"'([").casefold() in _ABBREVIATIONS


def _words(text: str) -> list[str]:
    return [word.casefold() for word in _WORD.findall(text)]


def _content_words(text: str) -> list[str]:
    return [word for word in _words(text) if word not in _STOP_WORDS and not word.isdigit() and len(word) > 1]


def _centralities(sentences: list[str]) -> list[float]:
    """For every sentence, the mean number of sentences that share a word of it; short ones are held back."""
    vocabularies = [set(_content_words(sentence)) for sentence in sentences]
    said_by = Counter(word for words in vocabularies for word in words)
    return [sum(said_by[word] for word in words) / (len(words) + 3) if words else 0.0 for words in vocabularies]


def _similarity(words: set[str], other: set[str]) -> float:
    shared = len(words & other)
    return shared / (len(words) + len(other) - shared)


capabilities = {"text": TextTools()}
