"""A home of its own, and an environment without a word about settings, for every test."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from config.home import Home


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    for variable in [name for name in os.environ if name.upper().startswith("UPGRADE_LOOP_")]:
        monkeypatch.delenv(variable)
    return Home(tmp_path / "home").create()
