"""Changes of a schema: those that widen it, those that narrow it, and those of which nothing can be proved.

The rows say what JSON Schema (draft 2020-12) says; a row that narrows names the place and the keyword that shows it.
"""

from __future__ import annotations

from typing import Any

Schema = dict[str, Any]

STR, INT, NUM, BOOL, NULL = ({"type": kind} for kind in ("string", "integer", "number", "boolean", "null"))
ANY: Schema = {}


def obj(*required: str, closed: bool = False, **properties: Any) -> Schema:
    """Return a schema of an object."""
    schema: Schema = {"type": "object", "properties": properties}
    if required:
        schema["required"] = list(required)
    if closed:
        schema["additionalProperties"] = False
    return schema


def one(schema: Any) -> Schema:
    """Return a schema of an object with one property `a`."""
    return obj("a", a=schema)


def arr(items: Any, **more: Any) -> Schema:
    return {"type": "array", "items": items, **more}


def defs(schema: Schema, **named: Any) -> Schema:
    return {**schema, "$defs": named}


NODE: Schema = {"type": "object", "properties": {"value": INT, "next": {"$ref": "#/$defs/node"}}, "required": ["value"]}
REF = one({"$ref": "#/$defs/n"})
NODES = one({"$ref": "#/$defs/node"})
CIRCLE = obj("kind", kind={"const": "circle"}, radius=NUM)
SQUARE = obj("kind", kind={"const": "square"}, side=NUM)

WIDENING: list[tuple[str, Schema, Schema]] = [
    ("nothing changed", one(INT), one(INT)),
    ("words only", one({**INT, "description": "x"}), one({**INT, "description": "y", "title": "A", "default": 3})),
    ("integer to number", one(INT), one(NUM)),
    ("type joined by null", one(STR), one({"type": ["string", "null"]})),
    ("type joined by another", one(STR), one({"anyOf": [STR, INT]})),
    ("type given up", one(STR), one(ANY)),
    ("type given up by true", one(STR), one(True)),
    ("number named by two types", one(NUM), one({"type": ["integer", "number"]})),
    ("value joined to an enum", one({"enum": ["a", "b"]}), one({"enum": ["a", "b", "c"]})),
    ("enum reordered", one({"enum": ["a", "b"]}), one({"enum": ["b", "a"]})),
    ("enum given up", one({"enum": ["a", "b"]}), one(STR)),
    ("const to enum", one({"const": 1}), one({"enum": [1, 2]})),
    ("const of the type", one({"const": 7}), one(INT)),
    ("enum within a range", one({"enum": [1, 2, 3]}), one({**INT, "minimum": 1, "maximum": 3})),
    ("range to the enum of its integers", one({**INT, "minimum": 1, "maximum": 3}), one({"enum": [1, 2, 3]})),
    ("boolean to its two values", one(BOOL), one({"enum": [True, False]})),
    ("required given up", obj("a", "b", a=INT, b=INT), obj("a", a=INT, b=INT)),
    ("optional property joined, open object", obj("a", a=INT), obj("a", a=INT, b=STR)),
    ("optional property joined, closed object", obj(a=INT, closed=True), obj(a=INT, b=STR, closed=True)),
    ("closed object opened", obj(a=INT, closed=True), obj(a=INT)),
    ("other properties widened", {**obj(), "additionalProperties": INT}, {**obj(), "additionalProperties": NUM}),
    ("a property given up, open object", obj(a=INT, b=INT), obj(a=INT)),
    ("forbidden property allowed", obj(a=INT, b=False), obj(a=INT, b=STR)),
    ("minimum lowered", one({**INT, "minimum": 2}), one({**INT, "minimum": 1})),
    ("minimum given up", one({**INT, "minimum": 2}), one(INT)),
    ("open bound to the closed one", one({**NUM, "exclusiveMinimum": 0}), one({**NUM, "minimum": 0})),
    ("same integers, other bound", one({**INT, "exclusiveMinimum": 0}), one({**INT, "minimum": 1})),
    ("maximum raised", one({**NUM, "maximum": 1.5}), one({**NUM, "exclusiveMaximum": 1.6})),
    ("coarser step to finer", one({**INT, "multipleOf": 4}), one({**INT, "multipleOf": 2})),
    ("tenths to hundredths", one({**NUM, "multipleOf": 0.1}), one({**NUM, "multipleOf": 0.01})),
    ("lengths widened", one({**STR, "minLength": 2, "maxLength": 5}), one({**STR, "minLength": 1, "maxLength": 9})),
    ("pattern given up", one({**STR, "pattern": "^a+$"}), one(STR)),
    ("pattern kept", one({**STR, "pattern": "^a+$", "maxLength": 3}), one({**STR, "pattern": "^a+$"})),
    ("format given up", one({**STR, "format": "date"}), one(STR)),
    ("items widened", one(arr(INT)), one(arr(NUM))),
    ("counts widened", one(arr(INT, minItems=2, maxItems=3)), one(arr(INT, minItems=1, maxItems=4))),
    ("items may repeat", one(arr(INT, uniqueItems=True)), one(arr(INT))),
    ("at most one item is unique", one(arr(INT, maxItems=1)), one(arr(INT, uniqueItems=True))),
    ("a place's schema widened", one({"type": "array", "prefixItems": [INT, STR]}), one({"prefixItems": [NUM, STR]})),
    ("nested property widened", one(one(INT)), one(one({"type": ["integer", "string"]}))),
    ("branch joined to anyOf", one({"anyOf": [STR, INT]}), one({"anyOf": [STR, INT, NULL]})),
    ("branches reordered", one({"anyOf": [STR, INT]}), one({"anyOf": [INT, STR]})),
    ("branch joined to oneOf", one({"oneOf": [STR, INT]}), one({"oneOf": [STR, INT, NULL]})),
    ("kind joined to oneOf", one({"oneOf": [CIRCLE]}), one({"oneOf": [CIRCLE, SQUARE]})),
    ("oneOf to anyOf", one({"oneOf": [STR, NUM]}), one({"anyOf": [STR, NUM]})),
    ("anyOf of one branch taken apart", one({"anyOf": [INT]}), one(INT)),
    ("types to anyOf", one({"type": ["string", "null"]}), one({"anyOf": [STR, NULL]})),
    ("demand of allOf given up", one({"allOf": [INT, {"minimum": 1}]}), one({"allOf": [INT]})),
    ("allOf written as one", one({"allOf": [INT, {"minimum": 1}]}), one({**INT, "minimum": 1})),
    ("one written as allOf", one({**INT, "minimum": 1}), one({"allOf": [INT, {"minimum": 1}]})),
    ("reference put in", one(INT), defs(REF, n=INT)),
    ("reference to something wider", defs(REF, n=INT), defs(REF, n=NUM)),
    (
        "recursive schema kept",
        defs(NODES, node=NODE),
        defs(NODES, node=NODE),
    ),
    (
        "recursive schema widened",
        defs(NODES, node=NODE),
        defs(NODES, node={**NODE, "properties": {**NODE["properties"], "value": NUM}}),
    ),
    ("same names patterned", {**obj(), "patternProperties": {"^x": INT}}, {**obj(), "patternProperties": {"^x": NUM}}),
    ("counts of properties widened", {**obj(), "maxProperties": 2}, {**obj(), "maxProperties": 3}),
    ("closed objects have few properties", obj(a=INT, b=INT, closed=True), {**obj(a=INT, b=INT), "maxProperties": 2}),
    ("what goes together given up", {**obj(), "dependentRequired": {"a": ["b"]}}, obj()),
    ("always together anyway", obj("a", "b", a=INT, b=INT), {**obj(), "dependentRequired": {"a": ["b"]}}),
    ("not widened", one({**INT, "not": {"const": 3}}), one(INT)),
    ("not of another type", one(INT), one({"not": STR})),
    ("not kept", one({**INT, "not": {"const": 3}}), one({**INT, "not": {"const": 3}})),
    (
        "a condition that holds either way",
        one({**INT, "minimum": 5}),
        one({"if": {"minimum": 9}, "then": NUM, "else": NUM}),
    ),
    ("keyword not understood, stated alike", one({**INT, "x-unit": "m"}), one({"type": "number", "x-unit": "m"})),
    ("keyword not understood given up", one({**INT, "x-unit": "m"}), one(INT)),
]

NARROWING: list[tuple[str, Schema, Schema, str, str]] = [
    ("number to integer", one(NUM), one(INT), "$.a", "type"),
    ("null not allowed any more", one({"type": ["string", "null"]}), one(STR), "$.a", "type"),
    ("type stated", one(ANY), one(STR), "$.a", "type"),
    ("another type", one(STR), one(INT), "$.a", "type"),
    ("value gone from an enum", one({"enum": ["a", "b"]}), one({"enum": ["a"]}), "$.a", "enum"),
    ("enum stated", one(STR), one({"enum": ["a", "b"]}), "$.a", "enum"),
    ("const changed", one({"const": 1}), one({"const": 2}), "$.a", "const"),
    ("const stated", one(INT), one({"const": 2}), "$.a", "const"),
    ("true is not one", one({"const": True}), one({"const": 1}), "$.a", "const"),
    ("property required", obj(a=INT), obj("a", a=INT), "$", "required"),
    ("required property joined", obj("a", a=INT), obj("a", "b", a=INT, b=INT), "$", "required"),
    ("open object closed", obj(a=INT), obj(a=INT, closed=True), "$.*", "false"),
    ("property gone from a closed object", obj(a=INT, b=INT, closed=True), obj(a=INT, closed=True), "$.b", "false"),
    ("other properties narrowed", obj(a=INT), {**obj(a=INT), "additionalProperties": STR}, "$.*", "type"),
    (
        "other properties narrowed, not closed",
        {**obj(), "additionalProperties": NUM},
        {**obj(), "additionalProperties": INT},
        "$.*",
        "type",
    ),
    (
        "declared against what others were",
        {**obj(), "additionalProperties": STR},
        {**obj(a=INT), "additionalProperties": STR},
        "$.a",
        "type",
    ),
    ("property forbidden", obj(a=INT, b=INT), obj(a=INT, b=False), "$.b", "false"),
    ("minimum stated", one(INT), one({**INT, "minimum": 1}), "$.a", "minimum"),
    ("minimum raised", one({**NUM, "minimum": 1}), one({**NUM, "minimum": 1.5}), "$.a", "minimum"),
    ("bound opened", one({**NUM, "minimum": 0}), one({**NUM, "exclusiveMinimum": 0}), "$.a", "exclusiveMinimum"),
    ("maximum lowered", one({**INT, "maximum": 100}), one({**INT, "maximum": 99}), "$.a", "maximum"),
    ("upper bound opened", one({**NUM, "maximum": 1}), one({**NUM, "exclusiveMaximum": 1}), "$.a", "exclusiveMaximum"),
    ("finer step to coarser", one({**INT, "multipleOf": 2}), one({**INT, "multipleOf": 4}), "$.a", "multipleOf"),
    ("minLength stated", one(STR), one({**STR, "minLength": 1}), "$.a", "minLength"),
    ("maxLength lowered", one({**STR, "maxLength": 80}), one({**STR, "maxLength": 79}), "$.a", "maxLength"),
    ("pattern stated", one(STR), one({**STR, "pattern": "^[a-z]+$"}), "$.a", "pattern"),
    ("pattern narrowed", one({**STR, "pattern": "^[a-z]"}), one({**STR, "pattern": "^[a-z]+$"}), "$.a", "pattern"),
    ("items narrowed", one(arr(NUM)), one(arr(INT)), "$.a[*]", "type"),
    ("minItems stated", one(arr(INT)), one(arr(INT, minItems=1)), "$.a", "minItems"),
    ("maxItems lowered", one(arr(INT, maxItems=9)), one(arr(INT, maxItems=8)), "$.a", "maxItems"),
    ("items may not repeat", one(arr(INT)), one(arr(INT, uniqueItems=True)), "$.a", "uniqueItems"),
    (
        "a place's schema narrowed",
        one({"type": "array", "prefixItems": [ANY, NUM]}),
        one({"prefixItems": [ANY, INT]}),
        "$.a[1]",
        "type",
    ),
    (
        "no items after the named places",
        one({"type": "array", "prefixItems": [INT]}),
        one({"prefixItems": [INT], "items": False}),
        "$.a[*]",
        "false",
    ),
    ("an item that must be there", one(arr(INT)), one({**arr(INT), "contains": {"const": 3}}), "$.a", "contains"),
    ("nested property required", one(obj(b=INT)), one(obj("b", b=INT)), "$.a", "required"),
    ("property of items required", one(arr(obj(b=INT))), one(arr(obj("b", b=INT))), "$.a[*]", "required"),
    (
        "name that needs quotes",
        {"type": "object", "properties": {"x-y": NUM}},
        {"type": "object", "properties": {"x-y": INT}},
        '$["x-y"]',
        "type",
    ),
    ("branch gone from anyOf", one({"anyOf": [STR, INT]}), one({"anyOf": [STR]}), "$.a", "type"),
    ("branch of anyOf narrowed", one({"anyOf": [NUM, NULL]}), one({"anyOf": [INT, NULL]}), "$.a", "type"),
    ("kind gone from oneOf", one({"oneOf": [CIRCLE, SQUARE]}), one({"oneOf": [CIRCLE]}), "$.a.kind", "const"),
    ("two branches meet in oneOf", one({"anyOf": [INT, NUM]}), one({"oneOf": [INT, NUM]}), "$.a", "oneOf"),
    ("demand joined by allOf", one(INT), one({"allOf": [INT, {"minimum": 0}]}), "$.a", "minimum"),
    ("reference to something narrower", defs(REF, n=NUM), one(INT), "$.a", "type"),
    (
        "recursive schema narrowed",
        defs(NODES, node={**NODE, "properties": {**NODE["properties"], "value": NUM}}),
        defs(NODES, node=NODE),
        "$.a.value",
        "type",
    ),
    (
        "patterned names narrowed",
        {**obj(), "patternProperties": {"^a": NUM}},
        {**obj(), "patternProperties": {"^a": INT}},
        "$.*",
        "type",
    ),
    ("names patterned", obj(), {**obj(), "propertyNames": {"maxLength": 3}}, "$", "propertyNames"),
    ("fewer properties", obj(), {**obj(), "maxProperties": 2}, "$", "maxProperties"),
    ("more properties", obj(), {**obj(), "minProperties": 1}, "$", "minProperties"),
    (
        "what goes together",
        obj(a=INT, b=INT),
        {**obj(a=INT, b=INT), "dependentRequired": {"a": ["b"]}},
        "$",
        "dependentRequired",
    ),
    ("not stated", one(INT), one({**INT, "not": {"const": 3}}), "$.a", "not"),
    (
        "a condition stated",
        one(NUM),
        one({**NUM, "if": {"minimum": 10}, "then": {"multipleOf": 10}}),
        "$.a",
        "if",
    ),
    ("nothing is accepted", one(INT), one(False), "$.a", "false"),
]

NOT_PROVABLE: list[tuple[str, Schema, Schema, str]] = [
    ("keyword not understood joined", one(STR), one({**STR, "x-check": "luhn"}), "x-check"),
    ("keyword not understood changed", one({**STR, "x-check": 1}), one({**STR, "x-check": 2}), "x-check"),
    ("nullable of another dialect", one(STR), one({**STR, "nullable": False}), "nullable"),
    ("format stated", one(STR), one({**STR, "format": "date"}), "format"),
    ("format changed", one({**STR, "format": "uri"}), one({**STR, "format": "email"}), "format"),
    ("pattern rewritten", one({**STR, "pattern": "^[0-9]+$"}), one({**STR, "pattern": "^\\d+$"}), "pattern"),
    (
        "unevaluated properties",
        obj(a=INT, closed=True),
        {**obj(a=INT), "unevaluatedProperties": False},
        "unevaluatedProperties",
    ),
    ("reference that leads nowhere", one(STR), one({"$ref": "#/$defs/gone"}), "$ref"),
]
