"""JSON schemas → grammars whose every text is an instance of the schema.

A grammar may leave out instances (an object without `additionalProperties` has the `properties` alone), but has no
others: a schema of which that cannot be said is refused, with the reason. Not kept to is that `oneOf` means one alone.
Schemas are a stranger's: they are read to a depth and a size, and nothing is fetched.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from math import ceil, floor
from typing import Any

from dlp_local.core.errors import InputError
from dlp_local.core.json_text import parse_json
from dlp_local.core.text import is_unicode
from dlp_local.engine.constraints import strings
from dlp_local.engine.constraints.grammar import Grammar, Node, Rule, choice, one_text, optional, repeat, sequence
from dlp_local.engine.constraints.grammar_checks import check_rules
from dlp_local.engine.constraints.numbers import ANY_INTEGER, ANY_NUMBER, Bounds, integer, number
from dlp_local.engine.constraints.objects import object_node
from dlp_local.engine.constraints.pattern import pattern
from dlp_local.engine.constraints.schema_document import (
    SchemaDocument,
    SchemaError,
    kinds_of,
    whole_number,
    with_values,
)
from dlp_local.engine.constraints.text_rules import CHARACTER, SPACE, quoted

DEEPEST = 64
"""Schemas within schemas."""

MOST_VISITS = 5000
"""Schemas that are looked at, each as often as it is used in another way."""

TOO_DEEP = "it is nested too deeply"


def schema_grammar(source: str) -> str:
    """The grammar of a schema's instances, in GBNF; of `{}`, that of any JSON object.

    Raises `InputError` for what is no schema, and for one that no grammar keeps to.
    """
    grammar = Grammar()
    schema = parse_schema(source)
    root = add_schema(grammar, schema if schema != {} else {"type": "object"}, "root-value")
    grammar.add("root", sequence(optional(" "), root))
    return written(grammar)


def parse_schema(source: str) -> Any:
    """A schema out of its text; raises `InputError` for what is none."""
    schema = parse_json(source, "JSON schema", "Send a JSON schema.")
    if not isinstance(schema, dict | bool):
        raise InputError("JSON schema: it is neither an object nor true or false. Send a JSON schema.")
    try:
        text = json.dumps(schema, ensure_ascii=False)
    except RecursionError:
        raise refused(TOO_DEEP) from None
    if not is_unicode(text):
        raise InputError("JSON schema: it has half of a character in it. Send whole ones.")
    return schema


def add_schema(grammar: Grammar, schema: Any, name: str) -> Rule:
    """Adds the rules of a schema's instances, under names that begin with this one.

    Raises `InputError` for one that no grammar keeps to.
    """
    try:
        converter = _Converter(grammar, SchemaDocument(schema), name)
        return grammar.add(name, converter.value(schema, "#", 0))
    except SchemaError as error:
        raise refused(str(error)) from None
    except RecursionError:  # values may be nested more deeply than schemas
        raise refused(TOO_DEEP) from None


def written(grammar: Grammar) -> str:
    """A grammar's text; raises `InputError` that speaks of the schema it is made of."""
    try:
        check_rules(grammar.rules)
        return grammar.text()
    except InputError as error:
        raise refused(str(error)) from None


def refused(reason: str) -> InputError:
    """Why a schema is not kept to, and what to do then."""
    return InputError(f"JSON schema: {reason}. Change that part, or ask for any JSON object.")


class _Converter:
    """Makes rules of the parts of one schema."""

    def __init__(self, grammar: Grammar, document: SchemaDocument, name: str) -> None:
        self._grammar, self._document, self._name = grammar, document, name
        self._visits = 0
        self._referred: dict[str, Rule] = {}
        self._patterns: dict[str, Rule] = {}
        self._space = self.shared("space", SPACE)

    def shared(self, name: str, node: Node) -> Rule:
        """A rule that all schemas of a grammar use."""
        return Rule(name) if name in self._grammar.rules else self._grammar.add(name, node)

    def own(self, node: Node) -> Rule:
        """A rule of this schema alone."""
        return self._grammar.add(f"{self._name}-{len(self._grammar.rules)}", node)

    def value(self, schema: Any, path: str, depth: int) -> Node:
        """The instances of a schema that stands at `path`, with white space after them."""
        self._visits += 1
        if depth > DEEPEST or self._visits > MOST_VISITS:
            raise SchemaError(path, "it is nested too deeply or too large")
        if schema is True or schema == {}:
            return self._any_value()
        if not isinstance(schema, dict):
            raise SchemaError(path, "nothing is an instance of it" if schema is False else "it is no schema")
        if self._document.is_plain_reference(schema):
            return self._reference(schema["$ref"], path, depth)
        if alternatives := self._document.alternatives(schema, path):
            return choice(self.value(one, f"{path}/{at}", depth + 1) for at, one in enumerate(alternatives))
        try:
            return self._plain(schema, path, depth)
        except SchemaError:
            raise
        except InputError as error:
            raise SchemaError(path, str(error)) from None

    def _reference(self, reference: Any, path: str, depth: int) -> Rule:
        if (rule := self._referred.get(str(reference))) is None:
            target = self._document.target(reference, path)
            name = f"{self._name}-ref-{len(self._referred)}"
            rule = self._referred[reference] = Rule(name)
            self._grammar.add(name, self.value(target, reference, depth + 1))
        return rule

    def _plain(self, schema: dict[str, Any], path: str, depth: int) -> Node:
        """A schema without references and alternatives."""
        schema = with_values(schema, path)
        kinds = kinds_of(schema, path)
        nullable = [self._constant(None)] if schema.get("nullable") is True and "null" not in kinds else []
        if "enum" in schema:
            return choice([self._constants(schema["enum"], kinds, path), *nullable])
        return choice([*(self._kind(kind, schema, path, depth) for kind in kinds), *nullable])

    def _constants(self, values: list[Any], kinds: Iterable[str], path: str) -> Node:
        if not values:
            raise SchemaError(path, "it names no value that it may be")
        fitting = [value for value in values if any(_is_of(value, kind) for kind in kinds)]
        if not fitting:
            raise SchemaError(path, "none of its values is of its type")
        return self._constant(*fitting)

    def _constant(self, *values: Any) -> Node:
        return sequence(one_text(json.dumps(value, ensure_ascii=False) for value in values), self._space)

    def _kind(self, kind: str, schema: dict[str, Any], path: str, depth: int) -> Node:
        match kind:
            case "string":
                return quoted(strings.content(schema, self._pattern), self._space)
            case "integer" | "number":
                return self._number(kind, schema, path)
            case "boolean":
                return sequence(choice(["true", "false"]), self._space)
            case "null":
                return self._constant(None)
            case "array":
                return self._array(schema, path, depth)
        return self._object(schema, path, depth)

    def _pattern(self, source: str) -> Rule:
        """What a pattern finds something in, in one rule however often it is used."""
        if source not in self._patterns:
            self._patterns[source] = self.own(pattern(source))
        return self._patterns[source]

    def _number(self, kind: str, schema: dict[str, Any], path: str) -> Node:
        bounds = _bounds(schema, path, is_whole=kind == "integer")
        if bounds == Bounds():
            return sequence(ANY_INTEGER if kind == "integer" else ANY_NUMBER, self._space)
        return sequence(integer(bounds) if kind == "integer" else number(bounds), self._space)

    def _array(self, schema: dict[str, Any], path: str, depth: int) -> Node:
        first, others = schema.get("prefixItems", []), schema.get("items", True)
        if isinstance(others, list):  # as it was written before 2020
            first, others = others, schema.get("additionalItems", True)
        least, most = whole_number(schema, "minItems"), whole_number(schema, "maxItems")
        if not isinstance(first, list):
            raise SchemaError(path, "its prefixItems is no list")
        heads = [self.own(self.value(one, f"{path}/prefixItems/{at}", depth + 1)) for at, one in enumerate(first)]
        heads = heads if most is None else heads[:most]
        rest = None if others is False else self.own(self.value(others, f"{path}/items", depth + 1))
        if (most is not None and most < (least or 0)) or (rest is None and (least or 0) > len(heads)):
            raise SchemaError(path, "no array has so many items")
        comma = sequence(",", self._space)
        tail: Node | None = None  # what may follow the items from `at` on, with the comma before them
        if rest is not None:
            room = None if most is None else most - len(heads)
            tail = repeat(sequence(comma, rest), max((least or 0) - len(heads), 0), room)
        for at in range(len(heads) - 1, 0, -1):
            item = sequence(comma, heads[at], *([tail] if tail else []))
            tail = self.own(item if (least or 0) > at else optional(item))
        if heads:
            content: Node | None = sequence(heads[0], *([tail] if tail else []))
        elif rest is not None and most != 0:
            following = repeat(sequence(comma, rest), max((least or 0) - 1, 0), None if most is None else most - 1)
            content = sequence(rest, following)
        else:
            content = None
        if content is not None and not least:
            content = optional(content)
        return sequence("[", self._space, *([content] if content else []), "]", self._space)

    def _object(self, schema: dict[str, Any], path: str, depth: int) -> Node:
        properties, required = schema.get("properties", {}), schema.get("required", [])
        others = schema.get("additionalProperties", "properties" not in schema)
        if not isinstance(properties, dict) or not isinstance(required, list):
            raise SchemaError(path, "its properties are no object, or those that are required no list")
        if unknown := [name for name in required if not isinstance(name, str)]:
            raise SchemaError(path, f"a property that is required is called {str(unknown[0])[:100]!a}")
        never = frozenset(name for name, one in properties.items() if one is False)
        if unmet := [name for name in required if name in never or (others is False and name not in properties)]:
            raise SchemaError(path, f"the property {unmet[0]!a} is required and not allowed")
        values = {
            name: self.own(self.value(one, f"{path}/properties/{name}", depth + 1))
            for name, one in (properties | {name: others for name in required if name not in properties}).items()
            if name not in never
        }
        extra = None if others is False else self.own(self.value(others, f"{path}/additionalProperties", depth + 1))
        return object_node(values, frozenset(required), extra, self._space, self.own, never)

    def _any_value(self) -> Rule:
        """Any JSON at all."""
        if "any-value" not in self._grammar.rules:
            any_value, comma, space = Rule("any-value"), sequence(",", self._space), self._space
            string = quoted(repeat(self.shared("character", CHARACTER)), space)
            member = sequence(string, ":", space, any_value)
            options = [
                sequence("{", space, optional(member, repeat(sequence(comma, member))), "}", space),
                sequence("[", space, optional(any_value, repeat(sequence(comma, any_value))), "]", space),
                string,
                sequence(ANY_NUMBER, space),
                *(self._constant(value) for value in (True, False, None)),
            ]
            self._grammar.add("any-value", choice(options))
        return Rule("any-value")


def _is_of(value: Any, kind: str) -> bool:
    """Whether a value is of one of JSON schema's types."""
    match kind:
        case "null":
            return value is None
        case "boolean":
            return isinstance(value, bool)
        case "integer":
            return isinstance(value, int | float) and not isinstance(value, bool) and value == floor(value)
        case "number":
            return isinstance(value, int | float) and not isinstance(value, bool)
    return isinstance(value, {"string": str, "array": list, "object": dict}[kind])


def _bounds(schema: dict[str, Any], path: str, is_whole: bool) -> Bounds:
    """The bounds of a schema's numbers; those of whole numbers may be fractions."""
    limits: dict[str, tuple[int | None, bool]] = {}
    for inclusive, exclusive, round_in, is_tighter in (
        ("minimum", "exclusiveMinimum", ceil, max),
        ("maximum", "exclusiveMaximum", floor, min),
    ):
        given = [(schema[key], key == exclusive) for key in (inclusive, exclusive) if key in schema]
        if isinstance(schema.get(exclusive), bool):  # as it was written before 2016
            given = [(schema[inclusive], schema[exclusive])] if inclusive in schema else []
        for bound, _ in given:
            if isinstance(bound, bool) or not isinstance(bound, int | float):
                raise SchemaError(path, f"its bound {str(bound)[:100]!a} is no number")
        if not given:
            limits[inclusive] = None, False
            continue
        tightest = is_tighter(bound for bound, _ in given)
        is_open = (tightest, True) in given
        if tightest != floor(tightest):
            if not is_whole:
                raise SchemaError(path, f"its bound {tightest!a} is no whole number")
            tightest, is_open = round_in(tightest), False
        limits[inclusive] = int(tightest), is_open
    (least, above), (most, below) = limits["minimum"], limits["maximum"]
    return Bounds(least, most, above, below)
