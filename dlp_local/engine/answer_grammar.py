"""What an answer of a certain form has to follow, as one grammar."""

from __future__ import annotations

from dlp_local.core.answer_format import AnswerFormat
from dlp_local.engine.calls.grammar import calls_grammar
from dlp_local.engine.calls.syntax import CallSyntax
from dlp_local.engine.constraints.gbnf import check_grammar
from dlp_local.engine.constraints.schema import schema_grammar


def answer_grammar(answer_format: AnswerFormat, syntax: CallSyntax) -> str:
    """In GBNF; nothing where any text will do. Raises `InputError` for a form that cannot be had."""
    if answer_format.grammar:
        return check_grammar(answer_format.grammar)
    if answer_format.offered_tools and (answer_format.json_schema or answer_format.tool_choice != "auto"):
        return calls_grammar(answer_format, syntax)
    return schema_grammar(answer_format.json_schema) if answer_format.json_schema else ""
