"""Schemas that are short and ask for much: refused or read in a moment, for all else stands still meanwhile."""

import json
from contextlib import suppress
from time import thread_time

import pytest

from dlp_local.core.errors import InputError
from dlp_local.engine.constraints.schema import schema_grammar


def used(schema, times, kind="string"):
    """A schema that is used often, each time put together with another one."""
    uses = {f"p{number}": {"$ref": "#/$defs/it", "type": kind} for number in range(times)}
    return {"$defs": {"it": schema}, "properties": uses}


PARTS = [{"properties": {f"p{n}": {}}} for n in range(1500)]
COSTLY = {
    "values, used often": used({"enum": [f"value {n}" for n in range(5000)]}, 1000),
    "a pattern, used often": used({"pattern": "a" * 2000}, 1000),
    "a set of characters, used often": used({"pattern": f"[{'ac' * 999}]"}, 3000),
    "a name, used often": used({"properties": {"x" * 100: {}}, "additionalProperties": True}, 1000, "object"),
    "required names in two parts": {"allOf": [{"required": [f"{half}{n}" for n in range(30_000)]} for half in "ab"]},
    "long names": {"properties": {f"{n}{'x' * 96}": {} for n in range(1000)}, "additionalProperties": True},
    "values in two parts": {"allOf": [{"enum": list(range(at, at + 30_000))} for at in (0, 30_000)]},
    "alternatives in two parts": {
        "allOf": [
            {"anyOf": [{"minProperties": n, "properties": {name: {} for name in "abcdefgh"}} for n in range(256)]},
            {"anyOf": [{"maxProperties": n} for n in range(4500)]},
        ]
    },
    "alternatives and many parts": {"allOf": [{"anyOf": [{"minLength": n} for n in range(256)]}, *PARTS]},
}


@pytest.mark.parametrize("name", COSTLY)
def test_what_a_short_schema_asks_for_takes_a_moment(name):
    started = thread_time()
    with suppress(InputError):
        schema_grammar(json.dumps(COSTLY[name]))
    assert thread_time() - started < 5


def test_a_pattern_that_is_used_often_is_written_once():
    text = schema_grammar(json.dumps(used({"pattern": "^seldom$"}, 50)))
    assert text.count("[m]") == text.count("[d]") == 1


def test_values_that_are_nested_deeply_are_taken_or_refused():
    for depth in range(800, 1100, 3):  # in some of these they can still be read, and no longer be compared
        deep = "[" * depth + "]" * depth
        with suppress(InputError):
            assert schema_grammar(f'{{"allOf": [{{"const": {deep}}}, {{"enum": [{deep}]}}]}}')
