"""Text tools: a summary made of a text's own sentences, its keywords, and lines that say nearly the same.

Everything is counted, nothing is guessed: the same text always gives the same answer.
"""

from __future__ import annotations

import re
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

    def summarise(self, text: str, sentences: int = 3) -> dict[str, Any]:
        """Keep the sentences that share most with the rest of the text, in their order."""
        found = _sentences(text)
        ranked = sorted(range(len(found)), key=lambda position: (-_centrality(found, position), position))
        kept = sorted(ranked[:sentences])
        return {
            "summary": " ".join(found[position] for position in kept),
            "sentences": [{"position": position + 1, "text": found[position]} for position in kept],
            "of": len(found),
        }

    def keywords(self, text: str, limit: int = 10) -> dict[str, Any]:
        """Rank the words by how often they are said, and in how many paragraphs."""
        words = _content_words(text)
        paragraphs = [_content_words(paragraph) for paragraph in _PARAGRAPH_BREAK.split(text)]
        rows = []
        for word in sorted(set(words)):
            count = words.count(word)
            spread = sum(1 for paragraph in paragraphs if word in paragraph)
            rows.append({"word": word, "count": count, "paragraphs": spread, "score": round(count * spread**0.5, 3)})
        rows.sort(key=lambda row: (-row["score"], row["word"]))
        return {"keywords": rows[:limit], "words": len(words)}

    def similar_lines(self, text: str, threshold: float = 0.6) -> dict[str, Any]:
        """Pair the lines that share at least `threshold` of their words (Jaccard similarity)."""
        lines = [(number, line) for number, line in enumerate(text.splitlines(), start=1) if line.strip()]
        pairs = []
        for index, (number, line) in enumerate(lines):
            for other_number, other in lines[index + 1 :]:
                similarity = _similarity(line, other)
                if similarity >= threshold:
                    pairs.append({"first": number, "second": other_number, "similarity": round(similarity, 3)})
        return {"pairs": pairs, "lines": len(lines)}


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


def _centrality(sentences: list[str], position: int) -> float:
    """Mean number of sentences that share a word of this one; short sentences are held back."""
    words = set(_content_words(sentences[position]))
    if not words:
        return 0.0
    shared = sum(len(words.intersection(_content_words(sentence))) for sentence in sentences)
    return shared / (len(words) + 3)


def _similarity(line: str, other: str) -> float:
    words, other_words = set(_words(line)), set(_words(other))
    if not words or not other_words:
        return 0.0
    return len(words & other_words) / len(words | other_words)


capabilities = {"text": TextTools()}
