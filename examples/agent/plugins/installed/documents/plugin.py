"""Document tools: the outline of a Markdown document, its tables as data, and its size.

Headings are `# ATX` headings and lines underlined with `===` or `---`; nothing inside a code fence counts.
"""

from __future__ import annotations

import re
from typing import Any

_ATX = re.compile(r"(#{1,6})[ \t]+(.*?)[ \t]*#*[ \t]*$")
_UNDERLINE = re.compile(r"(=+|-{2,})[ \t]*$")
_FENCE = re.compile(r"[ ]{0,3}(?:```|~~~)")
_LINK = re.compile(r"\[[^\]\n]*\]\(#([^)\s]+)\)")
_WORD = re.compile(r"[^\W_]+(?:['\u2019-][^\W_]+)*")
_TABLE_RULE = re.compile(r"[ \t]*\|?[ \t]*:?-{2,}:?[ \t]*(?:\|[ \t]*:?-{2,}:?[ \t]*)*\|?[ \t]*$")
_CELL_BORDER = re.compile(r"(?<!\\)\|")
_WORDS_PER_MINUTE = 230


class DocumentTools:
    """The methods of the capability `documents`."""

    def outline(self, text: str, max_level: int = 6) -> dict[str, Any]:
        """List the headings with their numbers, anchors and section sizes, and the links that lead nowhere."""
        lines = text.splitlines()
        found = _headings(lines)
        headings = [
            {
                "number": _number(found, position),
                "level": level,
                "text": title,
                "line": line + 1,
                "anchor": _anchor(found, position),
                "words": _section_words(lines, found, position),
            }
            for position, (line, level, title) in enumerate(found)
            if level <= max_level
        ]
        links = [link for index, line in enumerate(lines) if not _in_code(lines, index) for link in _LINK.findall(line)]
        broken = [link for link in links if not _leads_somewhere(found, link)]
        title = next((title for _, level, title in found if level == 1), None)
        return {"title": title, "headings": headings, "links": len(links), "broken_links": broken}

    def extract_tables(self, text: str) -> dict[str, Any]:
        """Read the pipe tables of a document as columns and rows of text."""
        lines = text.splitlines()
        tables = []
        for index in range(1, len(lines)):
            head = lines[index - 1]
            if "|" in head and "|" in lines[index] and _TABLE_RULE.match(lines[index]) and not _in_code(lines, index):
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


def _headings(lines: list[str]) -> list[tuple[int, int, str]]:
    """Return line index, level and text of every heading."""
    found = []
    for index, line in enumerate(lines):
        if _in_code(lines, index):
            continue
        if atx := _ATX.match(line):
            found.append((index, len(atx[1]), atx[2]))
        elif index and (rule := _UNDERLINE.match(line)) and _can_be_underlined(lines[index - 1]):
            found.append((index - 1, 1 if rule[1].startswith("=") else 2, lines[index - 1].strip()))
    return found


def _in_code(lines: list[str], index: int) -> bool:
    """Whether an odd number of fences stands above the line, or the line is one."""
    above = sum(1 for line in lines[:index] if _FENCE.match(line))
    return above % 2 == 1 or bool(_FENCE.match(lines[index]))


def _can_be_underlined(line: str) -> bool:
    return (
        bool(line.strip())
        and not _ATX.match(line)
        and not line.startswith(("    ", "\t", ">", "- ", "|", "```", "~~~"))
    )


def _number(found: list[tuple[int, int, str]], position: int) -> str:
    """Return the place in the tree, such as `2.1.3`."""
    counters = [0] * 6
    for _, level, _ in found[: position + 1]:
        counters[level - 1] += 1
        counters[level:] = [0] * (6 - level)
    top = min(level for _, level, _ in found)
    return ".".join(str(counter) for counter in counters[top - 1 : found[position][1]])


def _anchor(found: list[tuple[int, int, str]], position: int) -> str:
    """Return the anchor; a heading met before gets `-1`, `-2` and so on."""
    slug = _slug(found[position][2])
    before = sum(1 for _, _, title in found[:position] if _slug(title) == slug)
    return f"{slug}-{before}" if before else slug


def _slug(title: str) -> str:
    kept = re.sub(r"[^\w\s-]", "", title.casefold())
    return re.sub(r"\s+", "-", kept.strip())


def _section_words(lines: list[str], found: list[tuple[int, int, str]], position: int) -> int:
    """Count the words from the heading to the next one that is not below it."""
    start, level, _ = found[position]
    end = next((line for line, other, _ in found[position + 1 :] if other <= level), len(lines))
    return sum(len(_WORD.findall(line)) for line in lines[start + 1 : end])


def _leads_somewhere(found: list[tuple[int, int, str]], link: str) -> bool:
    return any(_anchor(found, position) == link for position in range(len(found)))


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
