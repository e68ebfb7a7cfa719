"""Schemas that are put together of others: each text follows all of them."""

import json
from random import Random

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dlp_local.core.errors import InputError
from dlp_local.engine.constraints.grammar import Grammar
from dlp_local.engine.constraints.schema import add_schema, schema_grammar, written
from tests.support.derivations import derived


def values(schema, count=40):
    grammar = Grammar()
    grammar.add("root", add_schema(grammar, schema, "value"))
    written(grammar)
    return [json.loads(derived(grammar, Random(seed))) for seed in range(count)]


@pytest.mark.parametrize(
    ("schema", "come"),
    [
        ({"allOf": [{"enum": ["a", "b"]}, {"const": "b"}]}, ["b"]),
        ({"allOf": [{"const": 1}, {"const": 1.0}]}, [1.0]),
        ({"enum": ["a", "b"], "const": "b"}, ["b"]),
        ({"allOf": [{"enum": [1, True, [0]]}, {"enum": [True, [False], 1.0]}]}, [True, 1]),
        ({"allOf": [{"type": "boolean", "nullable": True}, {"type": "boolean"}]}, [True, False]),
        ({"allOf": [{"type": "boolean", "nullable": True}, {"enum": [True]}]}, [True]),
        ({"allOf": [{"type": "boolean", "nullable": True}, {"type": ["boolean", "null"]}]}, [True, False, None]),
        ({"allOf": [{"type": "boolean", "nullable": True}], "description": "D"}, [True, False, None]),
        ({"allOf": [{"maximum": 2, "exclusiveMaximum": True}, {"maximum": 9, "exclusiveMaximum": False}],
          "type": "integer", "minimum": 0}, [0, 1]),
    ],
)  # fmt: skip
def test_the_values_of_all_parts_alone_come(schema, come):
    assert {json.dumps(value) for value in values(schema)} == set(map(json.dumps, come))


@pytest.mark.parametrize(
    ("schema", "said"),
    [
        ({"allOf": [{"enum": ["a", "b"]}, {"const": "c"}]}, "names no value"),
        ({"allOf": [{"const": 1}, {"const": True}]}, "names no value"),
        ({"enum": ["a", "b"], "const": "c"}, "names no value"),
        ({"enum": []}, "names no value"),
        ({"enum": "ab", "const": "a"}, "enum is no list"),
        ({"allOf": [{"properties": {"a": False}}, {"required": ["a"], "additionalProperties": True}]}, "not allowed"),
        ({"allOf": [{"prefixItems": [{"const": "a"}]}, {"items": {"type": "integer"}}]}, "items by their place"),
        ({"allOf": [{"required": ["a"]}, {"required": "b"}]}, "required of its own"),
        ({"allOf": [{"required": ["a"]}, {"required": [["b"]]}]}, "required is not what it should be"),
        ({"allOf": [{"exclusiveMinimum": 3}, {"exclusiveMinimum": True}]}, "exclusiveMinimum of its own"),
    ],
)
def test_parts_that_nothing_follows_or_no_grammar_keeps_to_are_refused(schema, said):
    with pytest.raises(InputError, match=f"JSON schema: .*{said}"):
        schema_grammar(json.dumps(schema))


@pytest.mark.parametrize(
    "schema",
    [
        {"allOf": [{"properties": {"a": False}}, {"additionalProperties": {"type": "integer"}}]},
        {"properties": {"a": False, "b": {"const": 1}}, "additionalProperties": {"type": "integer"}},
    ],
)
def test_a_property_that_may_not_be_there_is_none_of_the_others_either(schema):
    one_letter = [name for value in values(schema, 1500) for name in value if len(name) == 1]
    assert len(set(one_letter)) > 5
    assert "a" not in one_letter


CONSTANTS = st.sampled_from([0, 1, 2, True, False, None, "a", "ab", [1], [True], {"a": 1}])
PARTS = st.recursive(
    st.fixed_dictionaries({}, optional={"const": CONSTANTS, "enum": st.lists(CONSTANTS, min_size=1, max_size=4)})
    | st.fixed_dictionaries(
        {},
        optional={
            "type": st.sampled_from(["integer", "number", "string", "boolean", ["integer", "null"]]),
            "minimum": st.integers(-3, 3),
            "exclusiveMaximum": st.integers(0, 5),
            "minLength": st.integers(0, 2),
            "maxLength": st.integers(1, 3),
        },
    ),
    lambda inner: (
        st.fixed_dictionaries(
            {},
            optional={
                "prefixItems": st.lists(inner, min_size=1, max_size=2),
                "items": inner,
                "minItems": st.integers(0, 2),
                "maxItems": st.integers(0, 3),
            },
        )
        | st.fixed_dictionaries(
            {},
            optional={
                "properties": st.dictionaries(st.sampled_from("abc"), inner | st.just(False), max_size=3),
                "required": st.lists(st.sampled_from("abc"), max_size=2, unique=True),
                "additionalProperties": inner | st.booleans(),
            },
        )
    ),
    max_leaves=5,
)


@given(st.lists(PARTS, min_size=2, max_size=3))
@settings(deadline=None, max_examples=150)
def test_whatever_is_put_together_each_text_follows_all_of_it_or_it_is_refused(parts):
    schema = {"allOf": parts}
    try:
        come = values(schema, 6)
    except InputError:
        return
    validator = jsonschema.Draft202012Validator(schema)
    for value in come:
        validator.validate(value)
