"""The published schema of a manifest: equal to the models, and true of real manifests."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from plugins.core.manifest_schema import PUBLISHED, manifest_schema, written_schema
from tests.plugins.factories import ADD, a_manifest

ROOT = Path(__file__).resolve().parents[2]
MANIFESTS = sorted((ROOT / "examples").rglob("manifest.json"))


def faults(manifest: dict[str, Any]) -> list[str]:
    return [error.json_path for error in Draft202012Validator(manifest_schema()).iter_errors(manifest)]


def test_the_published_schema_is_that_of_the_models() -> None:
    assert PUBLISHED.read_bytes() == written_schema(), "run `python -m plugins.core.manifest_schema`"


def test_it_is_a_schema_itself() -> None:
    Draft202012Validator.check_schema(manifest_schema())


@pytest.mark.parametrize("path", MANIFESTS, ids=lambda path: path.parent.relative_to(ROOT).as_posix())
def test_real_manifests_fit(path: Path) -> None:
    assert faults(json.loads(path.read_text(encoding="utf-8"))) == []


def test_there_are_real_manifests() -> None:
    assert len(MANIFESTS) >= 5


def test_a_manifest_may_name_its_schema_and_leave_method_schemas_to_their_files() -> None:
    short = {key: value for key, value in ADD.items() if not key.endswith("_schema")}
    assert faults({"$schema": "manifest.schema.json", **a_manifest(short)}) == []


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"version": "1.0"}, "$.version"),
        ({"version": "01.0.0"}, "$.version"),
        ({"name": "No Name"}, "$.name"),
        ({"unknown": 1}, "$"),
        ({"provided_interfaces": []}, "$.provided_interfaces"),
        ({"resource_requirements": {"spares": 9}}, "$.resource_requirements.spares"),
        ({"lifecycle_hooks": {"time_limit_seconds": 0}}, "$.lifecycle_hooks.time_limit_seconds"),
        ({"protocol": "1999"}, "$.protocol"),
        ({"requirements": "../lock.txt"}, "$.requirements"),
    ],
)
def test_what_the_models_refuse_the_schema_refuses(change: dict[str, Any], path: str) -> None:
    assert path in " ".join(faults({**a_manifest(), **change}))
