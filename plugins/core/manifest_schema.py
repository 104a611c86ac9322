"""Spec 3.2, published manifest schema - decides what an editor or another program is told of `manifest.json`.

Rules:
- The schema is made from the models, so that it never says anything else than they do; `plugins/manifest.schema.json`
  is the published copy, and a test keeps it equal.
- It is laxer than the models in two places: a manifest may name its schema, and a method may leave its own schemas to
  its file in `contracts/`.

Not here: what only the models check, such as names that are given twice (`domain/contracts.py`).
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import orjson

from domain.base import JsonObject
from domain.contracts import PluginContract

PUBLISHED: Final = Path(__file__).resolve().parents[1] / "manifest.schema.json"


def manifest_schema() -> JsonObject:
    """Return the JSON Schema (draft 2020-12) of `manifest.json`."""
    schema: JsonObject = PluginContract.model_json_schema()
    properties, definitions = schema["properties"], schema["$defs"]
    assert isinstance(properties, dict)
    assert isinstance(definitions, dict)
    method = definitions["MethodSignature"]
    assert isinstance(method, dict)
    method["required"] = ["name", "description"]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **schema,
        "title": "Plugin manifest",
        "properties": {"$schema": {"type": "string", "description": "Where this schema lies."}, **properties},
    }


def written_schema() -> bytes:
    """Return the schema as the published file holds it."""
    return orjson.dumps(manifest_schema(), option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


if __name__ == "__main__":
    PUBLISHED.write_bytes(written_schema())
