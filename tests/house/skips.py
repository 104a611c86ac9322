"""Spec 12.1, continuous integration - decides whether a skipped test is an accepted one.

    python -m tests.house.skips REPORT.xml

Rules:
- A test may skip what a machine cannot do, such as Windows services on Linux.
- A test that was skipped for want of a program names the command that installs it; on a machine that should have had
  it, that is a failure.

Not here: running the tests.
"""

from __future__ import annotations

import re
import sys
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path

INSTALL_COMMAND = re.compile(r"\b(apt-get|apt|pip|uv|npm|winget|brew) (-\S+ )*(install|add)\b")


def curable(report: Path) -> Iterator[str]:
    """Yield the tests of a JUnit report whose reason for skipping names what to install."""
    for case in ET.parse(report).iter("testcase"):
        for skipped in case.iter("skipped"):
            reason = f"{skipped.get('message', '')} {skipped.text or ''}"
            if INSTALL_COMMAND.search(reason):
                yield f"{case.get('classname')}::{case.get('name')}: {skipped.get('message', '')}"


def main(arguments: list[str]) -> int:
    """Print what was skipped and need not have been; return 1 if there is any."""
    found = list(curable(Path(arguments[0])))
    for line in found:
        sys.stderr.write(f"skipped, and need not have been: {line}\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
