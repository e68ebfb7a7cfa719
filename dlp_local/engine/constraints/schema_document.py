"""A JSON schema as a document: where its references lead, its parts put together, and what of it can be kept to."""

from __future__ import annotations

import json
from collections.abc import Callable, Hashable, Mapping
from typing import Any
from urllib.parse import unquote

from dlp_local.core.errors import InputError

COMBINING = ("$ref", "allOf", "anyOf", "oneOf")

MOST_ALTERNATIVES = 256
MOST_STEPS = 5000
DEEPEST = 40
MOST_JOINED = 1 << 22
"""Bounds of what a schema may be put together of; the last in characters, each counted as often as it is looked at."""

KINDS = ("object", "array", "string", "number", "integer", "boolean", "null")
_KEYWORDS = {
    "object": ("properties", "required", "additionalProperties"),
    "array": ("items", "prefixItems", "minItems", "maxItems", "additionalItems", "uniqueItems"),
    "string": ("minLength", "maxLength", "pattern"),
    "number": ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"),
}
"""What says something of the values of a type alone."""

_ITEMS = ("items", "prefixItems", "additionalItems")

_LIMITING = frozenset(key for keys in _KEYWORDS.values() for key in keys)
_MEANT = _LIMITING | {*COMBINING, "type", "enum", "const", "nullable", "format"}

_NOT_KEPT: Mapping[str, Callable[[dict[str, Any]], bool]] = {
    "uniqueItems": lambda schema: schema["uniqueItems"] is False or schema.get("maxItems") in (0, 1),
    "multipleOf": lambda schema: schema["multipleOf"] == 1 and schema.get("type") == "integer",
    "minProperties": lambda schema: schema["minProperties"] == 0,
    "minContains": lambda schema: "contains" not in schema,
    "maxContains": lambda schema: "contains" not in schema,
    "unevaluatedProperties": lambda schema: schema["unevaluatedProperties"] is not False or "properties" in schema,
    "then": lambda schema: "if" not in schema,
    "else": lambda schema: "if" not in schema,
    **dict.fromkeys(
        ("not", "if", "dependentRequired", "dependentSchemas", "dependencies", "patternProperties", "propertyNames",
         "contains", "maxProperties", "unevaluatedItems", "$dynamicRef", "$recursiveRef"),
        lambda _: False,
    ),
}  # fmt: skip
"""What a grammar does not keep to → whether it says nothing here. Other words are remarks for a reader."""


class SchemaError(InputError):
    """What stands at `path` of a schema is not kept to, for a `reason`."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"{path[:200]}: {reason}")


class SchemaDocument:
    """A schema as a whole."""

    def __init__(self, root: Any) -> None:
        self._root = root
        self._steps = self._joined = 0

    def target(self, reference: Any, path: str) -> Any:
        """The schema that a reference leads to; raises `SchemaError` for one that leads out of the document."""
        if not isinstance(reference, str) or not reference.startswith("#") or reference[1:2] not in ("", "/"):
            raise SchemaError(
                path, f"it refers to {str(reference)[:100]!a}, and what is not in the schema is not fetched"
            )
        target = self._root
        for step in unquote(reference).split("/")[1:]:
            step = step.replace("~1", "/").replace("~0", "~")
            if isinstance(target, dict) and step in target:
                target = target[step]
            elif isinstance(target, list) and step.isdecimal() and int(step) < len(target):
                target = target[int(step)]
            else:
                raise SchemaError(path, f"it refers to {reference[:100]!a}, which is not there")
        return target

    def is_plain_reference(self, schema: dict[str, Any]) -> bool:
        """Whether a schema says nothing but where to look."""
        return "$ref" in schema and not schema.keys() & (_MEANT - {"$ref"}) and not schema.keys() & _NOT_KEPT.keys()

    def alternatives(self, schema: dict[str, Any], path: str, depth: int = 0) -> list[Any]:
        """The schemas of which a value follows one, where a schema is put together of others; none where it is not.

        Where there is nothing to put together, references stay what they are, so that a schema may hold itself.
        """
        groups = [[part] for part in _list(schema, "allOf", path)]
        groups += [[{"$ref": schema["$ref"]}]] if "$ref" in schema else []
        groups += [branches for key in ("anyOf", "oneOf") if (branches := _list(schema, key, path))]
        common = {key: value for key, value in schema.items() if key not in COMBINING}
        if len(groups) == 1 and not common.keys() & (_MEANT | _NOT_KEPT.keys()):
            return groups[0]
        options: list[Any] = [common] if groups else []
        for group in groups:
            flat = [one for branch in group for one in self._flat(branch, path, depth + 1)]
            if len(options) * len(flat) > MOST_ALTERNATIVES:
                raise SchemaError(path, f"it has more than {MOST_ALTERNATIVES} alternatives")
            options = [self._both(option, one, path) for option in options for one in flat]
        return options

    def _both(self, one: Any, other: Any, path: str) -> Any:
        self._joined += len(json.dumps([one, other]))
        if self._joined > MOST_JOINED:
            raise SchemaError(path, "it is put together of too many others, or of too large ones")
        return both(one, other, path)

    def _flat(self, schema: Any, path: str, depth: int) -> list[Any]:
        """The alternatives of a schema, none of them with a reference or alternatives of its own at its top."""
        self._steps += 1
        if depth > DEEPEST or self._steps > MOST_STEPS:
            raise SchemaError(path, "it is put together of too many others, or of itself")
        if not isinstance(schema, dict) or not schema.keys() & set(COMBINING):
            return [schema]
        if self.is_plain_reference(schema):
            return self._flat(self.target(schema["$ref"], path), path, depth + 1)
        options = self.alternatives(schema, path, depth)
        return [one for option in options for one in self._flat(option, path, depth + 1)]


def _list(schema: dict[str, Any], key: str, path: str) -> list[Any]:
    parts = schema.get(key, [])
    if not isinstance(parts, list) or (key in schema and not parts):
        raise SchemaError(path, f"its {key} is no list of schemas")
    return list(parts)


def with_values(schema: dict[str, Any], path: str) -> dict[str, Any]:
    """The same schema with its `const` as an `enum`, of those values alone that both name."""
    if not isinstance(schema.get("enum", []), list):
        raise SchemaError(path, "its enum is no list")
    if "const" not in schema:
        return schema
    named = _in_both(schema.get("enum", [schema["const"]]), [schema["const"]])
    return {key: value for key, value in schema.items() if key != "const"} | {"enum": named}


def _in_both(values: list[Any], others: list[Any]) -> list[Any]:
    known = set(map(_meaning, others))
    return [value for value in values if _meaning(value) in known]


def _meaning(value: Any) -> Hashable:
    """What is equal for values that JSON schema takes for the same: 1 and 1.0, but not 1 and true."""
    if isinstance(value, dict):
        return frozenset((key, _meaning(inner)) for key, inner in value.items())
    if isinstance(value, list):
        return tuple(map(_meaning, value))
    return (bool, value) if isinstance(value, bool) else value


def both(one: Any, other: Any, path: str) -> Any:
    """A schema whose values follow two others; raises `SchemaError` where no single schema says that."""
    if one is True or other is True:
        return other if one is True else one
    if not isinstance(one, dict) or not isinstance(other, dict):
        raise SchemaError(path, "nothing is an instance of it")
    one, other = with_values(one, path), with_values(other, path)
    _check_items(one, other, path)
    joined = one | other
    for key in one.keys() & other.keys() & (_MEANT | _NOT_KEPT.keys()):
        if _meaning(one[key]) != _meaning(other[key]):
            joined[key] = _joined_value(key, one[key], other[key], path)
    if "nullable" in joined:
        joined["nullable"] = _allows_null(one) and _allows_null(other)
    if "properties" in joined or "additionalProperties" in joined:
        _join_properties(joined, one, other)
    return joined


def _check_items(one: dict[str, Any], other: dict[str, Any], path: str) -> None:
    """Raises `SchemaError` where one of two schemas names items by their place, and the other says more of items."""
    if any("prefixItems" in schema or isinstance(schema.get("items"), list) for schema in (one, other)):
        here, there = ({key: schema[key] for key in _ITEMS if key in schema} for schema in (one, other))
        if here and there and _meaning(here) != _meaning(there):
            raise SchemaError(path, "one of its parts names items by their place, and another says more of items")


def _allows_null(schema: dict[str, Any]) -> bool:
    """Whether null is a value of a schema, as far as its type and the values that it names say so."""
    kinds, values = schema.get("type", "null"), schema.get("enum", [None])
    return schema.get("nullable") is True or (_allows(kinds, "null") and None in values)


def _joined_value(key: str, one: Any, other: Any, path: str) -> Any:
    try:
        match key:
            case "type":
                kinds = {key for key in KINDS if _allows(one, key) and _allows(other, key)}
                return sorted(kinds - {"integer"} if "number" in kinds else kinds)
            case "required" if isinstance(one, list) and isinstance(other, list):
                return list(dict.fromkeys([*one, *other]))
            case "enum":
                return _in_both(one, other)
            case "exclusiveMinimum" | "exclusiveMaximum" if isinstance(one, bool) != isinstance(other, bool):
                pass
            case "exclusiveMinimum" | "exclusiveMaximum" if isinstance(one, bool):
                return True
            case "minLength" | "minItems" | "minimum" | "exclusiveMinimum":
                return max(one, other)
            case "maxLength" | "maxItems" | "maximum" | "exclusiveMaximum":
                return min(one, other)
            case "items":
                return {"allOf": [one, other]}
            case "properties" | "additionalProperties" | "nullable":
                return one  # they are joined together with others
    except TypeError:
        raise SchemaError(path, f"its {key} is not what it should be") from None
    raise SchemaError(path, f"two of its parts have each a {key} of its own, which a grammar cannot keep to")


def _allows(kinds: Any, kind: str) -> bool:
    listed = kinds if isinstance(kinds, list) else [kinds]
    return kind in listed or (kind == "integer" and "number" in listed)


def _join_properties(joined: dict[str, Any], one: dict[str, Any], other: dict[str, Any]) -> None:
    """The properties of two schemas: each follows what both say of it; false for one that may not be there."""
    here, there = (_properties(schema) for schema in (one, other))
    properties = {}
    for name in (*here, *(name for name in there if name not in here)):
        said = [
            properties_of[name] if name in properties_of else schema.get("additionalProperties", True)
            for properties_of, schema in ((here, one), (there, other))
        ]
        meant = [schema for schema in said if schema is not True]
        is_none = any(schema is False for schema in meant)
        properties[name] = False if is_none else {"allOf": meant} if len(meant) > 1 else meant[0] if meant else True
    joined["properties"] = properties
    extras = [schema["additionalProperties"] for schema in (one, other) if "additionalProperties" in schema]
    if any(extra is False for extra in extras):
        joined["additionalProperties"] = False
    elif len(extras) == 2 and extras[0] != extras[1]:
        joined["additionalProperties"] = {"allOf": extras}


def _properties(schema: dict[str, Any]) -> dict[str, Any]:
    properties = schema.get("properties", {})
    return properties if isinstance(properties, dict) else {}


def kinds_of(schema: dict[str, Any], path: str) -> tuple[str, ...]:
    """The types of a schema's values: those that it names, else those that it says something of, else all.

    Raises `SchemaError` where it says what a grammar does not keep to.
    """
    for key, says_nothing in _NOT_KEPT.items():
        if key in schema and not says_nothing(schema):
            raise SchemaError(path, f"{key} is nothing that a grammar can keep to")
    if "enum" in schema and (limits := sorted(schema.keys() & _LIMITING)):
        raise SchemaError(path, f"it names its values and has {limits[0]}, too")
    named = schema.get("type")
    if named is None:
        spoken_of = [kind for kind, keys in _KEYWORDS.items() if schema.keys() & set(keys)]
        return tuple(spoken_of or (kind for kind in KINDS if kind != "integer"))
    kinds = named if isinstance(named, list) else [named]
    if not kinds or not all(isinstance(kind, str) and kind in KINDS for kind in kinds):
        raise SchemaError(path, f"its type is {str(named)[:100]!a}; types are {', '.join(KINDS)}")
    return tuple(dict.fromkeys(kinds))


def whole_number(schema: dict[str, Any], key: str) -> int | None:
    """How many there are to be of something, at least or at most; raises `InputError` for what is no such number."""
    number = schema.get(key)
    if number is not None and (not isinstance(number, int) or isinstance(number, bool) or number < 0):
        raise InputError(f"its {key} is no whole number from 0 on")
    return number
