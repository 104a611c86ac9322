"""Spec 10.1, system configuration - decides whether the shipped file and the defaults are the specification's.

`spec_10_1.yaml` is the specification's own block, copied.

Not here: reading and checking a file (`tests/config/test_loading.py`).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from config.loading import check_file, document
from config.settings import SHIPPED_FILE, Settings

SPEC = Path(__file__).parent / "spec_10_1.yaml"


def lines(path: Path) -> list[str]:
    return [line.rstrip() for line in path.read_text(encoding="utf-8").splitlines()]


def leaves(content: Any, prefix: str = "") -> dict[str, Any]:
    if not isinstance(content, dict):
        return {prefix: content}
    return {key: value for name in content for key, value in leaves(content[name], f"{prefix}.{name}").items()}


def test_the_shipped_file_holds_the_specs_block_to_the_letter() -> None:
    assert "\n".join(lines(SPEC)) in "\n".join(lines(SHIPPED_FILE))


def test_the_defaults_are_the_specs_values() -> None:
    spec = leaves(yaml.safe_load(SPEC.read_text(encoding="utf-8")))
    ours = leaves(document(Settings.model_construct()))

    assert {key: ours.get(key) for key in spec} == spec
    assert len(spec) == 25


def test_the_specs_block_alone_is_a_sound_file() -> None:
    assert check_file(SPEC) == check_file(SHIPPED_FILE)


@pytest.mark.parametrize(
    ("rollback", "rollout", "by_itself"),
    [
        ({}, {}, True),
        ({"enabled": False}, {}, False),
        ({"auto_rollback_enabled": False}, {}, False),
        ({}, {"auto_rollback_on_failure": False}, False),
    ],
)
def test_each_of_three_switches_leaves_taking_back_to_people(
    rollback: dict[str, Any], rollout: dict[str, Any], by_itself: bool
) -> None:
    assert Settings(rollback=rollback, rollout=rollout).takes_back_by_itself is by_itself


def test_the_machines_queue_carries_its_name() -> None:
    assert Settings().temporal.host_queue == "agent-host-local"
