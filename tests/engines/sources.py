"""Source code for the tests of the static rules."""

from __future__ import annotations

from textwrap import dedent

from domain.patterns import SourceFile
from engines.syntax import ParsedFile, parse


def source(text: str, path: str = "agent/tools.py") -> SourceFile:
    return SourceFile(path=path, text=dedent(text).strip("\n") + "\n")


def parsed(text: str, path: str = "agent/tools.py") -> ParsedFile:
    file = source(text, path)
    tree = parse(file.path, file.text)
    assert not isinstance(tree, str), tree
    return ParsedFile(file.path, tree, len(file.text.splitlines()))


def copied(name: str, value: str, limit: str) -> str:
    """Return a function that is a copy of every other one this makes, names and literals aside."""
    return f"""
def {name}({value}):
    '''Sums of {name}.'''
    {limit} = 0
    for each in {value}:
        if each > {len(name)}:
            {limit} = {limit} + each * {len(value)}
        else:
            {limit} = {limit} - each
    return {limit}
"""


def ladder(subject: str, rungs: int, question: str = "{subject} == '{kind}'") -> str:
    """Return a chain of questions about one thing."""
    words = ["if", *["elif"] * (rungs - 1)]
    return "\n".join(
        f"{word} {question.format(subject=subject, kind=f'KIND{place}')}:\n    x = {place}"
        for place, word in enumerate(words)
    )
