"""JSON schemas of many kinds that a grammar can keep to."""

NODE = {
    "$ref": "#/$defs/node",
    "$defs": {
        "node": {
            "type": "object",
            "properties": {
                "value": {"type": "integer"},
                "next": {"anyOf": [{"$ref": "#/$defs/node"}, {"type": "null"}]},
            },
            "required": ["value", "next"],
            "additionalProperties": False,
        }
    },
}
BASE = {"type": "object", "properties": {"id": {"type": "integer", "minimum": 1}}, "required": ["id"]}
SCHEMAS: dict[str, object] = {
    "anything": True,
    "an object": {"type": "object"},
    "types": {"type": ["string", "null", "boolean"]},
    "integer": {"type": "integer"},
    "number": {"type": "number"},
    "constants": {"enum": ["a", 'quote " and \\', 1, 2.5, None, True, [1, {"x": "é"}], {"k": []}]},
    "constant": {"const": {"a": [1, 2]}},
    "enum of a type": {"type": "string", "enum": ["a", 1, "b"]},
    "lengths": {"type": "string", "minLength": 2, "maxLength": 4},
    "more than a grammar counts": {"type": "string", "maxLength": 100_000},
    "items": {
        "type": "array",
        "items": {"type": "integer", "minimum": -3, "maximum": 12},
        "minItems": 2,
        "maxItems": 4,
    },
    "no items": {"type": "array", "items": {"type": "string"}, "maxItems": 0},
    "a tuple": {
        "type": "array",
        "prefixItems": [{"type": "integer"}, {"type": "string"}],
        "items": False,
        "minItems": 2,
    },
    "an open tuple": {
        "type": "array",
        "prefixItems": [{"type": "integer"}, {"const": "x"}],
        "items": {"type": "null"},
        "minItems": 1,
        "maxItems": 4,
    },
    "properties": {
        "type": "object",
        "properties": {"a": {"type": "string"}, "b": {"type": "integer"}, "c": {"type": "null"}, 'd"\\é': {"const": 1}},
        "required": ["b", 'd"\\é'],
    },
    "all optional": {"type": "object", "properties": {name: {"type": "boolean"} for name in "abcd"}},
    "others beside": {
        "type": "object",
        "properties": {"ab": {"type": "string"}, "abc": {"type": "null"}, "b": {"type": "boolean"}, "": {"const": 0}},
        "additionalProperties": {"type": "integer"},
        "required": ["ab", "more"],
    },
    "a map": {"type": "object", "additionalProperties": {"type": "array", "items": {"type": "number"}}},
    "itself": NODE,
    "a tree": {
        "type": "object",
        "properties": {"kids": {"type": "array", "items": {"$ref": "#"}}},
        "required": ["kids"],
    },
    "a base and more": {"allOf": [BASE, {"properties": {"name": {"type": "string"}}, "required": ["name"]}]},
    "a reference and more": {
        "$defs": {"base": BASE},
        "$ref": "#/$defs/base",
        "properties": {"id": {"maximum": 5, "type": "integer"}},
    },
    "one of two": {
        "oneOf": [{"type": "object", "properties": {"kind": {"const": k}}, "required": ["kind"]} for k in "ab"]
    },
    "one of two required": {
        "type": "object",
        "properties": {"a": {"type": "null"}, "b": {"type": "null"}},
        "anyOf": [{"required": ["a"]}, {"required": ["b"]}],
    },
    "remarks": {
        "type": "string",
        "title": "T",
        "description": "D",
        "default": "x",
        "examples": ["y"],
        "format": "email",
    },
    "escaped pointer": {"$defs": {"a/b~c": {"type": "integer"}}, "$ref": "#/$defs/a~1b~0c"},
}
BOUNDS: list[dict[str, float]] = [
    {"minimum": 0},
    {"exclusiveMinimum": 0},
    {"minimum": 7, "maximum": 7},
    {"minimum": -120, "maximum": 1305},
    {"maximum": -5},
    {"exclusiveMaximum": 100, "minimum": 98},
    {"minimum": 99, "maximum": 100001},
    {"minimum": -1, "maximum": 0},
    {"exclusiveMinimum": -2, "exclusiveMaximum": 2},
    {"minimum": 5, "exclusiveMinimum": 5},
    {"minimum": 1e3},
    {"minimum": 123456789012345678, "maximum": 123456789012345699},
]
SCHEMAS |= {f"{kind} {bounds}": {"type": kind, **bounds} for bounds in BOUNDS for kind in ("integer", "number")}
PATTERNS = [
    r"^[a-z]{2,3}-\d+$",
    r"^(foo|ba[rz])?$",
    r"colou?r",
    r"^\d{3}",
    r"x$|^y",
    r'^["\\/]+$',
    r"^[^a-z\s]{2}$",
    r"^\S+@\S+\.[a-z]{2,}$",
    r"^.{0,3}$",
    r"^(?:[A-F0-9]{2}:){2}[A-F0-9]{2}$",
    r"^a*?b+?$",
    "^\\u0041\\x42\\t$",
    r"^[\]\-a]+$",
    "",
    r"^é$",
]
SCHEMAS |= {f"pattern {pattern}": {"type": "string", "pattern": pattern} for pattern in PATTERNS}
