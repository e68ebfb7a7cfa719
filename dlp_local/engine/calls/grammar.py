"""The grammar of an answer that calls tools."""

from __future__ import annotations

import json
from collections.abc import Sequence

from dlp_local.core.answer_format import AnswerFormat, Tool
from dlp_local.core.errors import InputError
from dlp_local.engine.calls.syntax import CallSyntax
from dlp_local.engine.constraints.grammar import Grammar, Node, choice, optional, repeat, sequence
from dlp_local.engine.constraints.schema import add_schema, parse_schema, written

MOST_CALLS = 8
"""Of one answer by a grammar: a small model goes on for ever."""


def calls_grammar(answer_format: AnswerFormat, syntax: CallSyntax) -> str:
    """The grammar of one call or more, or, where the tools are free to choose, of an instance of the schema.

    Raises `InputError` for a schema that no grammar keeps to.
    """
    grammar = Grammar()
    calls = _calls(grammar, answer_format.offered_tools, syntax, only_one=answer_format.tool_choice != "required")
    if answer_format.tool_choice == "auto":
        schema = parse_schema(answer_format.json_schema)
        calls = choice([add_schema(grammar, schema if schema != {} else {"type": "object"}, "root-value"), calls])
    grammar.add("root", sequence(optional(" "), calls))
    return written(grammar)


def _calls(grammar: Grammar, tools: Sequence[Tool], syntax: CallSyntax, only_one: bool) -> Node:
    one = choice(_object(grammar, tool, number, syntax) for number, tool in enumerate(tools))
    others = 0 if only_one or not syntax.marker else MOST_CALLS - 1
    if syntax.is_list:
        more = [repeat(sequence(",", optional(" "), one), 0, others)] if others else []
        return sequence(syntax.opening.lstrip(), one, *more, syntax.closing.rstrip())
    call = sequence(syntax.opening.lstrip(), one, syntax.closing.rstrip())
    return sequence(call, repeat(sequence("\n", call), 0, others)) if others else call


def _object(grammar: Grammar, tool: Tool, number: int, syntax: CallSyntax) -> Node:
    name, key = json.dumps(tool.name), json.dumps(syntax.arguments_key)
    begin = f"{{{json.dumps(syntax.name_key)}: {name}, {key}: "
    return sequence(begin, _arguments(grammar, tool, f"tool-{number}"), "}")


def _arguments(grammar: Grammar, tool: Tool, name: str) -> Node:
    """A tool's arguments; any object where its schema is none that a grammar keeps to, unless the tool is strict."""
    schema = parse_schema(tool.parameters)
    try:
        trial = Grammar()
        add_schema(trial, _of_objects(schema), name)
        written(trial)
        return add_schema(grammar, _of_objects(schema), name)
    except InputError as error:
        if tool.strict:
            raise InputError(f"tools: '{tool.name}' is strict: without that, any object would do. {error}") from None
        return add_schema(grammar, {"type": "object"}, f"{name}-any")


def _of_objects(schema: object) -> object:
    return {"type": "object", **schema} if isinstance(schema, dict) else {"type": "object"}
