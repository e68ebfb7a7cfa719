"""JSON schemas as grammars: every text is an instance, and what no grammar keeps to is refused."""

import email.headerregistry
import ipaddress
import json
import re
import urllib.parse
from datetime import date, datetime, time
from random import Random
from time import thread_time
from uuid import UUID

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dlp_local.core.answer_format import AnswerFormat, Tool
from dlp_local.core.errors import InputError
from dlp_local.engine.answer_grammar import answer_grammar
from dlp_local.engine.calls.syntax import PLAIN_SYNTAX
from dlp_local.engine.constraints.grammar import Grammar
from dlp_local.engine.constraints.grammar_checks import check_rules
from dlp_local.engine.constraints.schema import add_schema, schema_grammar
from tests.support.derivations import derived
from tests.support.schemas import SCHEMAS


def texts(schema, count=25):
    grammar = Grammar()
    grammar.add("root", add_schema(grammar, schema, "value"))
    check_rules(grammar.rules)
    return [derived(grammar, Random(seed)) for seed in range(count)]


def instances(schema, count=25):
    validator = jsonschema.Draft202012Validator(schema)
    for text in texts(schema, count):
        value = json.loads(text)
        validator.validate(value)
        yield value


@pytest.mark.parametrize("name", SCHEMAS)
def test_every_text_of_a_schema_is_an_instance_of_it(name):
    assert list(instances(SCHEMAS[name]))


@pytest.mark.parametrize(
    ("form", "read"),
    [("date", date.fromisoformat), ("time", time.fromisoformat), ("date-time", datetime.fromisoformat), ("uuid", UUID)],
)
def test_a_format_that_is_kept_to_is_read_by_pythons_own_reader(form, read):
    values = set(instances({"type": "string", "format": form}, 100))
    assert len(set(map(read, values))) > 90


def a_duration(text):
    assert re.fullmatch(r"P(?!$)(\d+W|(\d+Y)?(\d+M)?(\d+D)?(T(?=\d)(\d+H)?(\d+M)?(\d+S)?)?)", text)
    return text


def a_hostname(text):
    assert len(text) < 254
    assert all(re.fullmatch(r"(?!-)[A-Za-z0-9-]{1,63}(?<!-)", label) for label in text.split("."))
    return text


def an_email(text):
    address = email.headerregistry.Address(addr_spec=text)
    assert address.username
    return a_hostname(address.domain)


def a_uri(text):
    parts = urllib.parse.urlsplit(text)
    assert parts.scheme
    assert parts.port is None or 0 < parts.port < 65536
    return a_hostname(parts.hostname)


@pytest.mark.parametrize(
    ("form", "read"),
    [
        ("duration", a_duration),
        ("email", an_email),
        ("hostname", a_hostname),
        ("ipv4", ipaddress.IPv4Address),
        ("ipv6", ipaddress.IPv6Address),
        ("uri", a_uri),
    ],
)
def test_addresses_and_durations_are_what_readers_of_them_take(form, read):
    values = set(instances({"type": "string", "format": form}, 100))
    assert len(set(map(read, values))) > 30


def test_whole_numbers_within_bounds_may_each_come():
    values = {value for text in range(40) for value in instances({"type": "integer", "minimum": 8, "maximum": 12}, 40)}
    assert values == {8, 9, 10, 11, 12}


def test_optional_properties_come_in_any_choice_and_in_order():
    chosen = {tuple(value) for value in instances(SCHEMAS["all optional"], 400)}
    assert len(chosen) == 16
    assert all(list(names) == sorted(names) for names in chosen)


def test_an_empty_schema_is_any_object():
    assert schema_grammar("{}") == schema_grammar('{"type": "object"}')


@pytest.mark.parametrize(
    ("schema", "said"),
    [
        (False, "nothing is an instance"),
        ({"not": {"type": "string"}}, "not is nothing"),
        ({"type": "array", "uniqueItems": True}, "uniqueItems"),
        ({"type": "object", "properties": {"a": {"type": "array", "contains": {}}}}, "#/properties/a: contains"),
        ({"type": "object", "patternProperties": {"^a": True}}, "patternProperties"),
        ({"type": "number", "multipleOf": 0.01}, "multipleOf"),
        ({"type": "number", "minimum": 0.5}, "0.5"),
        ({"type": "integer", "minimum": 3, "maximum": 2}, "no number"),
        ({"type": "string", "minLength": 3, "maxLength": 2}, "maxLength"),
        ({"type": "string", "minLength": 10**6}, "1000"),
        ({"type": "string", "pattern": "^a", "maxLength": 3}, "at once"),
        ({"type": "string", "pattern": "(?=a)b"}, "looks around"),
        ({"type": "string", "pattern": r"(a)\1"}, "grammar cannot express"),
        ({"type": "string", "pattern": "((a?){9}){9}"}, "may be empty"),
        ({"type": "string", "pattern": "(a{1,99}){1,99}"}, "times in all"),
        ({"type": "string", "pattern": "a*" * 60}, "repetitions"),
        ({"type": "string", "pattern": "^" + "[a-z]*" * 5 + "$"}, "one directly after another"),
        ({"type": "string", "pattern": "^(((a+b)+c)+d)+$"}, "within one another"),
        ({"type": "string", "pattern": "(" * 50 + ")" * 50}, "groups"),
        ({"type": "thing"}, "types are"),
        ({"$ref": "https://example.com/schema.json"}, "not fetched"),
        ({"$ref": "other.json#/a"}, "not fetched"),
        ({"$ref": "#/nowhere"}, "not there"),
        ({"$ref": "#"}, "itself"),
        ({"anyOf": [{"$ref": "#"}, {"type": "null"}]}, "itself"),
        ({"$ref": "#", "type": "object"}, "itself"),
        ({"type": "object", "properties": {"a": {"$ref": "#"}}, "required": ["a"]}, "always holds itself"),
        ({"type": "object", "required": ["a"], "properties": {}, "additionalProperties": False}, "not allowed"),
        ({"type": "string", "enum": [1, 2]}, "of its type"),
        ({"enum": [1, 2], "minimum": 2}, "names its values"),
        ({"allOf": [{"type": "string"}, {"type": "integer"}]}, "types are"),
        ({"allOf": [{"anyOf": [{"minLength": n} for n in range(9)]} for _ in range(9)]}, "alternatives"),
        ({"type": "array", "minItems": 3, "maxItems": 2}, "no array"),
        ({"type": "string", "maxLength": -1}, "its maxLength is no whole number from 0 on"),
        ({"type": "string", "minLength": -5}, "its minLength is no whole number from 0 on"),
        ({"type": "string", "minLength": True}, "its minLength is no whole number from 0 on"),
        ({"type": "array", "maxItems": -1}, "its maxItems is no whole number from 0 on"),
        ({"type": "array", "minItems": -1}, "its minItems is no whole number from 0 on"),
        ({"type": "string", "format": []}, "its format is no text"),
        ({"type": "string", "format": {"a": 1}}, "its format is no text"),
        ({"allOf": [{"format": []}, {"type": "string"}]}, "its format is no text"),
        ({"type": "integer", "exclusiveMinimum": 10**4300 - 1}, "more than 40 digits"),
        ({"type": "integer", "minimum": [1]}, "no number"),
        ({"type": [[]]}, "types are"),
        ({"type": "object", "required": [[]]}, "is called"),
        ({"$ref": []}, "not fetched"),
    ],
)
def test_what_a_grammar_cannot_keep_to_is_refused_with_the_reason(schema, said):
    with pytest.raises(InputError, match=f"JSON schema: .*{said}"):
        schema_grammar(json.dumps(schema))


@pytest.mark.parametrize("value", [{"format": []}, {"format": {}}, {"maxLength": -1}, {"type": [{}]}])
def test_a_tool_of_such_a_schema_takes_any_object_unless_it_is_strict(value):
    parameters = json.dumps({"properties": {"a": {"type": "string"} | value}})

    def grammar(parameters, strict):
        tools = (Tool("f", "", parameters, strict),)
        return answer_grammar(AnswerFormat(tools=tools, tool_choice="required"), PLAIN_SYNTAX)

    assert "tool-0-any" in grammar(parameters, strict=False)
    with pytest.raises(InputError, match="'f' is strict"):
        grammar(parameters, strict=True)


@pytest.mark.parametrize("schema", ['{"minimum": NaN}', '{"type": "integer", "enum": [1e999]}', '{"const": -Infinity}'])
def test_a_schema_with_a_number_that_json_has_not_is_refused(schema):
    with pytest.raises(InputError, match=r"JSON schema: is not JSON \(it holds (NaN|1e999|-Infinity)"):
        schema_grammar(schema)


def test_a_schema_of_many_levels_is_refused_and_not_followed():
    schema: dict[str, object] = {"type": "integer"}
    for _ in range(300):
        schema = {"type": "array", "items": schema}
    with pytest.raises(InputError, match="too deeply"):
        schema_grammar(json.dumps(schema))
    for text in ("[" * 100_000, "not json", "[]", '"x"', '{"const": "\\ud800"}'):
        with pytest.raises(InputError, match="JSON schema"):
            schema_grammar(text)


def test_a_large_schema_is_read_in_a_moment():
    properties = {f"property{n}": {"type": "string", "maxLength": 9} for n in range(900)}
    started = thread_time()
    schema_grammar(json.dumps({"type": "object", "properties": properties}))
    schema_grammar(json.dumps({"enum": [f"value {n}" for n in range(6000)]}))
    assert thread_time() - started < 5


KEYS = [
    "type",
    "properties",
    "items",
    "anyOf",
    "allOf",
    "required",
    "enum",
    "minimum",
    "maxItems",
    "pattern",
    "$ref",
    "additionalProperties",
    "const",
    "format",
    "minLength",
    "maxLength",
    "exclusiveMaximum",
    "nullable",
]
JUNK = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.sampled_from(["#", "object", "string", "^a$", "a"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=4),
    max_leaves=20,
)


@given(st.dictionaries(st.sampled_from(KEYS), JUNK, max_size=5))
@settings(deadline=None)
def test_whatever_is_sent_as_a_schema_becomes_a_grammar_or_is_refused(schema):
    try:
        text = schema_grammar(json.dumps(schema))
    except InputError as error:
        text = str(error)
    assert text.startswith("JSON schema: ") or "root ::= " in text


SOUND = st.recursive(
    st.sampled_from(
        [
            {"type": "integer", "minimum": -7, "maximum": 22},
            {"type": "string", "maxLength": 3},
            {"enum": ["x", 2, None]},
            {"type": "number", "exclusiveMinimum": 0},
            {"type": "boolean"},
            {"type": "string", "pattern": "^[ab]c?$"},
        ]
    ),
    lambda inner: (
        st.builds(lambda items, most: {"type": "array", "items": items, "maxItems": most}, inner, st.integers(0, 3))
        | st.builds(lambda options: {"anyOf": options}, st.lists(inner, min_size=1, max_size=3))
        | st.builds(
            lambda properties, required, others: {
                "type": "object",
                "properties": properties,
                "required": sorted(properties)[:required],
                **({"additionalProperties": others} if others is not None else {}),
            },
            st.dictionaries(st.sampled_from(["a", "ab", "b", "é"]), inner, max_size=3),
            st.integers(0, 3),
            st.none() | st.just(False) | inner,
        )
    ),
    max_leaves=6,
)


@given(SOUND)
@settings(deadline=None, max_examples=60)
def test_made_schemas_have_instances_alone(schema):
    assert list(instances(schema, 5))


@given(st.sets(st.text(alphabet='ab"1', max_size=6), min_size=17, max_size=60))
@settings(deadline=None, max_examples=20)
def test_each_of_many_values_may_come_and_no_other(values):
    come = {value for seed in range(3) for value in instances({"enum": sorted(values)}, 60 * (seed + 1))}
    assert come <= values
    assert len(come) > 1
