"""Document tools: the outline of a Markdown document, its tables as data, and its size.

Headings are `# ATX` headings and lines underlined with `===` or `---`; nothing inside a code fence counts.
An outline is made in one pass over the lines, and the outlines of recent documents are remembered: agents ask for
the same document again and again while they work on it.
"""

from __future__ import annotations

import re
from collections import deque
from hashlib import sha256
from itertools import accumulate
from typing import Any, NamedTuple

_ATX = re.compile(r"(#{1,6})[ \t]+(.*?)[ \t]*#*[ \t]*$")
_UNDERLINE = re.compile(r"(=+|-{2,})[ \t]*$")
_FENCE = re.compile(r"[ ]{0,3}(?:```|~~~)")
_LINK = re.compile(r"\[[^\]\n]*\]\(#([^)\s]+)\)")
_WORD = re.compile(r"[^\W_]+(?:['\u2019-][^\W_]+)*")
_TABLE_RULE = re.compile(r"[ \t]*\|?[ \t]*:?-{2,}:?[ \t]*(?:\|[ \t]*:?-{2,}:?[ \t]*)*\|?[ \t]*$")
_CELL_BORDER = re.compile(r"(?<!\\)\|")
_WORDS_PER_MINUTE = 230
_REMEMBERED = 48


class _Heading(NamedTuple):
    line: int
    level: int
    title: str


class _RecentOutlines:
    """The outlines made last, the oldest dropped first."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._outlines: dict[str, dict[str, Any]] = {}
        self._order: deque[str] = deque()

    def find(self, fingerprint: str, max_level: int) -> dict[str, Any] | None:
        """Return the outline of a document at a depth, if it is remembered."""
        return self._outlines.get(f"{fingerprint}/{max_level}")

    def remember(self, fingerprint: str, max_level: int, outline: dict[str, Any]) -> None:
        """Keep an outline, and make room for it when the memory is full."""
        if len(self._outlines) >= self._limit:
            del self._outlines[self._order.popleft()]
        self._outlines[f"{fingerprint}/{max_level}"] = outline
        self._order.append(fingerprint)


class DocumentTools:
    """The methods of the capability `documents`."""

    def __init__(self) -> None:
        self._recent = _RecentOutlines(_REMEMBERED)

    def outline(self, text: str, max_level: int = 6) -> dict[str, Any]:
        """List the headings with their numbers, anchors and section sizes, and the links that lead nowhere."""
        fingerprint = sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
        outline = self._recent.find(fingerprint, max_level)
        if outline is None:
            outline = _outline(text, max_level)
            self._recent.remember(fingerprint, max_level, outline)
        return outline

    def extract_tables(self, text: str) -> dict[str, Any]:
        """Read the pipe tables of a document as columns and rows of text."""
        lines = text.splitlines()
        in_code = _code_lines(lines)
        tables = []
        for index in range(1, len(lines)):
            head = lines[index - 1]
            if "|" in head and "|" in lines[index] and _TABLE_RULE.match(lines[index]) and not in_code[index]:
                columns = _cells(head)
                tables.append({"line": index, "columns": columns, "rows": _rows(lines[index + 1 :], len(columns))})
        return {"tables": tables}

    def word_count(self, text: str) -> dict[str, Any]:
        """Count words, lines, paragraphs and characters, and estimate the reading time."""
        words = len(_WORD.findall(text))
        paragraphs = [block for block in re.split(r"\n[ \t]*\n", text) if block.strip()]
        return {
            "words": words,
            "lines": len(text.splitlines()),
            "paragraphs": len(paragraphs),
            "characters": len(text),
            "reading_minutes": round(words / _WORDS_PER_MINUTE, 1),
        }


def _outline(text: str, max_level: int) -> dict[str, Any]:
    lines = text.splitlines()
    in_code = _code_lines(lines)
    found = _headings(lines, in_code)
    anchors = _anchors(found)
    headings = [
        {
            "number": number,
            "level": heading.level,
            "text": heading.title,
            "line": heading.line + 1,
            "anchor": anchor,
            "words": words,
        }
        for heading, number, anchor, words in zip(
            found, _numbers(found), anchors, _section_words(lines, found), strict=True
        )
        if heading.level <= max_level
    ]
    links = [link for line, code in zip(lines, in_code, strict=True) if not code for link in _LINK.findall(line)]
    targets = set(anchors)
    broken = [link for link in links if link not in targets]
    title = next((heading.title for heading in found if heading.level == 1), None)
    return {"title": title, "headings": headings, "links": len(links), "broken_links": broken}


def _code_lines(lines: list[str]) -> list[bool]:
    """For every line, whether it is in a code fence or is one."""
    marks, inside = [], False
    for line in lines:
        fence = bool(_FENCE.match(line))
        marks.append(inside or fence)
        inside ^= fence
    return marks


def _headings(lines: list[str], in_code: list[bool]) -> list[_Heading]:
    found = []
    for index, line in enumerate(lines):
        if in_code[index]:
            continue
        if atx := _ATX.match(line):
            found.append(_Heading(index, len(atx[1]), atx[2]))
        elif index and (rule := _UNDERLINE.match(line)) and _can_be_underlined(lines[index - 1]):
            found.append(_Heading(index - 1, 1 if rule[1].startswith("=") else 2, lines[index - 1].strip()))
    return found


def _can_be_underlined(line: str) -> bool:
    return (
        bool(line.strip())
        and not _ATX.match(line)
        and not line.startswith(("    ", "\t", ">", "- ", "|", "```", "~~~"))
    )


def _numbers(found: list[_Heading]) -> list[str]:
    """Return the places in the tree, such as `2.1.3`."""
    top = min((heading.level for heading in found), default=1)
    counters = [0] * 6
    numbers = []
    for heading in found:
        counters[heading.level - 1] += 1
        counters[heading.level :] = [0] * (6 - heading.level)
        numbers.append(".".join(str(counter) for counter in counters[top - 1 : heading.level]))
    return numbers


def _anchors(found: list[_Heading]) -> list[str]:
    """Return the anchors; a heading met before gets `-1`, `-2` and so on."""
    met: dict[str, int] = {}
    anchors = []
    for heading in found:
        slug = _slug(heading.title)
        before = met.get(slug, 0)
        anchors.append(f"{slug}-{before}" if before else slug)
        met[slug] = before + 1
    return anchors


def _slug(title: str) -> str:
    kept = re.sub(r"[^\w\s-]", "", title.casefold())
    return re.sub(r"\s+", "-", kept.strip())


def _section_words(lines: list[str], found: list[_Heading]) -> list[int]:
    """For every heading, count the words from it to the next one that is not below it."""
    words_above = [0, *accumulate(len(_WORD.findall(line)) for line in lines)]
    sizes = []
    for position, heading in enumerate(found):
        end = next((other.line for other in found[position + 1 :] if other.level <= heading.level), len(lines))
        sizes.append(words_above[end] - words_above[heading.line + 1])
    return sizes


def _cells(line: str) -> list[str]:
    inner = line.strip()
    inner = inner.removeprefix("|")
    inner = inner[:-1] if inner.endswith("|") and not inner.endswith("\\|") else inner
    return [cell.replace("\\|", "|").strip() for cell in _CELL_BORDER.split(inner)]


def _rows(lines: list[str], width: int) -> list[list[str]]:
    rows = []
    for line in lines:
        if "|" not in line:
            break
        cells = _cells(line)[:width]
        rows.append(cells + [""] * (width - len(cells)))
    return rows


capabilities = {"documents": DocumentTools()}
