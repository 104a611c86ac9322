"""Spec 12.1, continuous integration - decides whether a skip that could be cured is noticed.

Not here: the report's making, which is pytest's.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.house.skips import main

REPORT = """<testsuites><testsuite>
<testcase classname="tests.a" name="test_runs"/>
<testcase classname="tests.a" name="test_waits"><skipped message="{reason}">a.py:3</skipped></testcase>
</testsuite></testsuites>"""


@pytest.mark.parametrize(
    ("reason", "code"),
    [
        ("promtool is missing: apt-get install prometheus", 1),
        ("needs it: pip install something", 1),
        ("Windows only", 0),
    ],
)
def test_a_skip_that_an_installation_would_cure_is_a_failure(tmp_path: Path, reason: str, code: int) -> None:
    report = tmp_path / "report.xml"
    report.write_text(REPORT.format(reason=reason), encoding="utf-8")

    assert main([str(report)]) == code
