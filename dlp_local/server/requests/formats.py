"""What a request says of the form of its answer: a schema, tools, log probabilities, biases."""

from __future__ import annotations

import json
from typing import Any, ClassVar, Literal

from pydantic import Field

from dlp_local.core.answer_format import MOST_LOGPROBS, AnswerFormat, Tool
from dlp_local.server.bodies import OpenBody
from dlp_local.server.errors import ApiError, blamed_on

ANY_OBJECT = "{}"
"""The schema of any JSON object."""


class Function(OpenBody):
    """A function of the client's."""

    name: str
    description: str = ""
    parameters: dict[str, Any] = Field({}, description="a JSON schema")
    strict: bool = Field(False, description="whether calls that a grammar makes keep to the schema, or are refused")

    def tool(self, place: str) -> Tool:
        """The function, which stands at a place of the request, as the assistant takes it; raises `ApiError`."""
        with blamed_on(f"{place}.name"):
            Tool(self.name)
        with blamed_on(f"{place}.parameters"):
            return Tool(self.name, self.description, json.dumps(self.parameters, ensure_ascii=False), self.strict)


class FunctionTool(OpenBody):
    """A function of the client's, as a tool."""

    type: Literal["function"]
    function: Function


class NamedFunction(OpenBody):
    """The function that is to be called."""

    name: str


class NamedTool(OpenBody):
    """The tool that is to be called, with its name within `function`, or beside it."""

    type: Literal["function"]
    function: NamedFunction | None = None
    name: str | None = None


ToolChoice = Literal["auto", "none", "required"] | NamedTool


def chosen_tool(choice: ToolChoice) -> str:
    """`auto`, `none`, `required`, or a tool's name; raises `ApiError`."""
    if isinstance(choice, str):
        return choice
    name = choice.function.name if choice.function else choice.name
    if not name:
        raise ApiError(400, "tool_choice: names no function.", param="tool_choice", code="invalid_value")
    return name


class Schema(OpenBody):
    """A JSON schema of which the answer is an instance."""

    harmless: ClassVar[frozenset[str]] = frozenset({"strict", "description"})

    name: str = ""
    json_schema: dict[str, Any] | None = Field(None, alias="schema")


class ResponseFormat(OpenBody):
    """Text, any JSON object, or an instance of a schema."""

    type: Literal["text", "json_object", "json_schema"]
    json_schema: Schema | None = None
    object_schema: dict[str, Any] | None = Field(
        None, alias="schema", description="of json_object; left out or {}: any object"
    )

    def schema_text(self) -> str:
        """The schema as text; empty where any text will do. Raises `ApiError`."""
        if self.type == "json_schema":
            schema = self.json_schema.json_schema if self.json_schema else None
            return schema_text(schema, f"response_format.json_schema{'.schema' if self.json_schema else ''}")
        place = "response_format"
        refuse_schema(self.json_schema, self.type, f"{place}.json_schema")
        if self.type == "text":
            refuse_schema(self.object_schema, self.type, f"{place}.schema")
            return ""
        return json.dumps(self.object_schema or {}, ensure_ascii=False)


def schema_text(schema: dict[str, Any] | None, place: str) -> str:
    """A schema as text; raises `ApiError` where there is none at its place in the request."""
    if schema is None:
        message = f"{place}: is missing. Send the schema there."
        raise ApiError(400, message, param=place, code="missing_required_parameter")
    return json.dumps(schema, ensure_ascii=False)


def refuse_schema(schema: object, kind: str, place: str) -> None:
    """Raises `ApiError` for a schema beside a type of answer that would not follow it."""
    if schema is not None:
        message = f'{place}: no schema is kept to with the type "{kind}". Use "json_schema".'
        raise ApiError(400, message, param=place, code="invalid_value")


def biases(given: dict[str, float]) -> tuple[tuple[int, float], ...]:
    """Token and bias of each entry; raises `ApiError` for what is no token's number."""
    for token in given:
        if not (token.isascii() and token.isdecimal() and len(token) < 10):
            raise ApiError(
                400, f"logit_bias: '{token[:32]}' is no token's number.", param="logit_bias", code="invalid_value"
            )
    return tuple((int(token), bias) for token, bias in given.items())


def checked_format(schema_field: str = "response_format", **parts: Any) -> AnswerFormat:
    """The form of an answer out of its parts; raises `ApiError` that names the field of the one that cannot be."""
    by_field = {
        schema_field: {"json_schema"},
        "logit_bias": {"logit_bias"},
        "tools": {"tools"},
        "tool_choice": {"tools", "tool_choice"},
        "grammar": parts.keys(),
    }
    for field, names in by_field.items():
        with blamed_on(field):
            answer_format = AnswerFormat(**{name: parts[name] for name in names & parts.keys()})
    return answer_format


def top_logprobs(wanted: bool, best: int | None) -> int | None:
    """How many of the most probable tokens are told beside each one; None where no log probabilities are."""
    if best and not wanted:
        raise ApiError(
            400, f"top_logprobs: needs logprobs to be true, and may be 0 to {MOST_LOGPROBS}.", param="top_logprobs",
            code="invalid_value",
        )  # fmt: skip
    return (best or 0) if wanted else None
