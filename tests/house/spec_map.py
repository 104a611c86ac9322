"""Spec 13, conclusion - decides where each section of the specification lives in the house.

    python -m tests.house.spec_map        writes docs/mission.md

Rules:
- The first paragraph of a module's docstring is its claim: `Spec N.N, <subject> - decides <what>.`; several sections
  are joined by commas and `and`, and an appendix is named `Appendix A`. A YAML file claims in its first comment line.
- A claim is a room, a section and a subject. One section may live in several rooms, as noun, verb and memory, and in
  one room under several subjects; two modules of one room never make the same claim.
- Every section of `SECTIONS` is claimed by somebody, or it waits in `WAITING` with the reason; never both.

Not here: whether the module keeps its word (its own tests).
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.house.source import ROOT, in_rooms, python_files

MISSION = ROOT / "docs" / "mission.md"

SECTIONS = {
    "1.1": "Pattern Detection Engine",
    "1.2": "Pattern Categories",
    "1.3": "Pattern Scoring Algorithm",
    "2.1": "Gap Detection Architecture",
    "2.2": "Gap Classification Matrix",
    "2.3": "Gap Prioritization Engine",
    "3.1": "Plugin System Core",
    "3.2": "Plugin Contract Definition",
    "3.3": "Plugin Directory Structure",
    "3.4": "Dynamic Loading System",
    "4.1": "A/B Test Architecture",
    "4.2": "Experiment Lifecycle",
    "4.3": "Statistical Analysis Engine",
    "5.1": "Progressive Delivery Controller",
    "5.2": "Rollout Stage Configuration",
    "6.1": "Dependency Resolution Engine",
    "6.2": "Version Constraint Resolution",
    "6.3": "Dependency Health Monitor",
    "7.1": "Performance Testing Framework",
    "7.2": "Performance Metrics Collection",
    "7.3": "Performance Regression Detection",
    "8.1": "Rollback Architecture",
    "8.2": "Snapshot Management",
    "8.3": "Compensating Actions",
    "9.1": "Main Loop Architecture",
    "9.2": "Decision Engine",
    "10.1": "System Configuration",
    "10.2": "Integration Points",
    "11.1": "Security Model",
    "11.2": "Permission Model",
    "12.1": "Key Metrics",
    "12.2": "Alerting Rules",
    "A": "Appendix A: Data Models",
    "B": "Appendix B: API Reference",
}

WAITING = {
    "6.3": "the health of dependencies",
}
"""Sections that no module claims yet, and what is awaited."""

_SECTION = r"(?:Appendix )?(?:\d+\.\d+|[AB])"
_CLAIM = re.compile(
    rf"^(?:Spec )?(?P<sections>{_SECTION}(?:(?:, | and |, and )(?:Spec )?{_SECTION})*), "
    r"(?P<subject>.+?) - decides (?P<decides>.+?)\.$"
)


@dataclass(frozen=True)
class Claim:
    """One section that one file says it is about."""

    section: str
    room: str
    subject: str
    decides: str
    file: str


def parse(paragraph: str) -> tuple[list[str], str, str] | None:
    """Return sections, subject and decision of a claim, None if the text is not one."""
    found = _CLAIM.match(" ".join(paragraph.split()))
    if found is None or not paragraph.startswith(("Spec ", "Appendix ")):
        return None
    return re.findall(r"\d+\.\d+|\b[AB]\b", found["sections"]), found["subject"], found["decides"]


def headings() -> Iterator[tuple[str, str, str]]:
    """Yield room, file and first paragraph of everything that has to make a claim."""
    for module in [*in_rooms(), *(module for module in python_files() if module.name == "run.py")]:
        if module.path.name != "__init__.py" and not module.name.startswith("store/migrations/"):
            yield module.room, module.name, module.docstring.split("\n\n")[0]
    for file in sorted((ROOT / "config").glob("*.yaml")):
        first = file.read_text(encoding="utf-8").partition("\n")[0]
        if first.startswith("# Spec "):
            yield "config", file.relative_to(ROOT).as_posix(), first.removeprefix("# ")


def claims() -> Iterator[Claim]:
    """Yield every claim of the house."""
    for room, file, paragraph in headings():
        sections, subject, decides = parse(paragraph) or ([], "", "")
        for section in sections:
            yield Claim(section=section, room=room, subject=subject, decides=decides, file=file)


def page(found: Iterable[Claim]) -> str:
    """Return docs/mission.md."""
    by_section: dict[str, list[Claim]] = {section: [] for section in SECTIONS}
    for claim in found:
        by_section.setdefault(claim.section, []).append(claim)
    lines = [
        "# The specification in the house",
        "",
        "Made by `python -m tests.house.spec_map` from the first lines of the modules; a test keeps it true.",
    ]
    for section, owners in by_section.items():
        title = SECTIONS.get(section, "")
        lines += ["", f"## {title if title.startswith('Appendix') else f'{section} {title}'}", ""]
        lines += [f"- [{c.file}](../{c.file}): {c.subject}; decides {c.decides}." for c in owners]
        if not owners:
            lines.append(f"- Not built yet: {WAITING.get(section, 'nobody claims it')}.")
    return "\n".join(lines) + "\n"


def main(target: Path = MISSION) -> int:
    """Write the page and say where."""
    target.write_text(page(claims()), encoding="utf-8", newline="\n")
    sys.stderr.write(f"wrote {target}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
