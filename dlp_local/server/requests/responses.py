"""`/v1/responses`: the request."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any, ClassVar, Literal

from pydantic import Field

from dlp_local.core.answer_format import MOST_LOGPROBS, AnswerFormat
from dlp_local.core.values import Message, ToolCall
from dlp_local.server.bodies import HARMLESS, OpenBody, RequestBody, Unused
from dlp_local.server.errors import ApiError
from dlp_local.server.requests.formats import (
    ANY_OBJECT,
    Function,
    ToolChoice,
    biases,
    checked_format,
    chosen_tool,
    refuse_schema,
    schema_text,
)
from dlp_local.server.requests.messages import HARMLESS_WITHIN, ROLES, ContentPart, content_text, refuse_no_text
from dlp_local.server.requests.sampling import THOUGHT, SamplingRequest

UNUSED = Unused(HARMLESS | {"stream_options"}, THOUGHT | {"text.verbosity"})
WITH_LOGPROBS: Literal["message.output_text.logprobs"] = "message.output_text.logprobs"
Included = Literal[
    "message.output_text.logprobs",
    "reasoning.encrypted_content",
    "message.input_image.image_url",
    "computer_call_output.output.image_url",
    "file_search_call.results",
    "web_search_call.results",
    "web_search_call.action.sources",
    "code_interpreter_call.outputs",
]
"""What OpenAI's API may add to a response; clients ask for the others beforehand, and there is nothing of them here."""


SCHEMA_FIELD = "text.format"


class InputItem(OpenBody):
    """A message, a call of a function, or its result; items of earlier output may come back as they are."""

    harmless: ClassVar[frozenset[str]] = HARMLESS_WITHIN

    type: Literal["message", "function_call", "function_call_output", "reasoning"] = "message"
    role: Literal["system", "developer", "user", "assistant"] | None = None
    content: str | list[ContentPart] | None = None
    call_id: str = Field("", description="of a call and of its result")
    name: str = Field("", description="of the function that was called")
    arguments: str = Field("{}", description="of a call, as JSON text")
    output: str | list[ContentPart] | None = Field(None, description="of a call's result")

    def message(self, place: str) -> Message | None:
        """The item as a message, None for one that says nothing; raises `ApiError`."""
        if self.type == "reasoning":
            return None
        if self.type == "function_call":
            _needed(self.name, f"{place}.name")
            return Message("assistant", "", (ToolCall(self.name, self.arguments, self.call_id),))
        if self.type == "function_call_output":
            _needed(self.output is not None, f"{place}.output")
            return Message("tool", content_text(self.output, f"{place}.output"), tool_call_id=self.call_id)
        _needed(self.role, f"{place}.role")
        refuse_no_text(self.model_extra, place, is_reply=self.role == "assistant" and bool(self.content))
        return Message(ROLES[self.role or "user"], content_text(self.content, f"{place}.content"))

    def passed_over(self) -> list[str]:
        """As of any; what came in an earlier reply needs no naming."""
        is_reply = self.type != "message" or self.role == "assistant"
        return [] if is_reply else super().passed_over()


class TextFormat(OpenBody):
    """Text, any JSON object, or an instance of a schema."""

    harmless: ClassVar[frozenset[str]] = frozenset({"name", "strict", "description"})

    type: Literal["text", "json_object", "json_schema"] = "text"
    json_schema: dict[str, Any] | None = Field(None, alias="schema")

    def schema_text(self) -> str:
        """The schema as text; empty where any text will do. Raises `ApiError`."""
        place = f"{SCHEMA_FIELD}.schema"
        if self.type == "json_schema":
            return schema_text(self.json_schema, place)
        refuse_schema(self.json_schema, self.type, place)
        return ANY_OBJECT if self.type == "json_object" else ""


class TextOptions(RequestBody):
    """The form of the answer."""

    format: TextFormat = TextFormat()
    verbosity: str | None = Field(None, description="has no effect")


class FlatFunctionTool(Function):
    """A function of the client's, as a tool."""

    type: Literal["function"]


class ResponseRequest(SamplingRequest):
    """What is new in a conversation; the rest of it is what `previous_response_id` names."""

    input: str | list[InputItem]
    instructions: str | None = Field(None, description="for this response alone")
    previous_response_id: str | None = None
    store: bool = Field(True, description="whether it can be gone on with; in memory, for a while")
    background: Literal[False] = False
    max_output_tokens: int | None = Field(None, ge=1)
    text: TextOptions = TextOptions()
    tools: list[FlatFunctionTool] = Field([], description="functions of the client's")
    tool_choice: ToolChoice = "auto"
    parallel_tool_calls: bool = Field(True, description="false: one call at most")
    include: list[Included] = Field([], description=f"of what there is here: {WITH_LOGPROBS}")
    top_logprobs: int | None = Field(None, ge=0, le=MOST_LOGPROBS)
    logit_bias: dict[str, float] = Field({}, description="token's number → what is added to its logit")
    truncation: Literal["auto", "disabled"] = Field("auto", description="disabled: a long conversation is refused")
    metadata: dict[str, str] = Field({}, description="comes back as it is")

    def messages(self, most: int) -> list[Message]:
        """What is new; raises `ApiError`."""
        if isinstance(self.input, str):
            return [Message("user", content_text(self.input, "input"))]
        if not 0 < len(self.input) <= most:
            raise ApiError(400, f"input: give 1 to {most} items.", param="input", code="invalid_value")
        items = (item.message(f"input[{number}]") for number, item in enumerate(self.input))
        return _calls_joined(message for message in items if message)

    def longest(self) -> int | None:
        """The most tokens of the answer; raises `ApiError` where two different numbers are given."""
        return self.one_of("max_output_tokens", "max_tokens")

    def answer_format(self) -> AnswerFormat:
        """The form of the answer; raises `ApiError`."""
        wants_logprobs = WITH_LOGPROBS in self.include or self.top_logprobs is not None
        return checked_format(
            SCHEMA_FIELD,
            json_schema=self.text.format.schema_text(),
            logprobs=(self.top_logprobs or 0) if wants_logprobs else None,
            logit_bias=biases(self.logit_bias),
            tools=tuple(tool.tool(f"tools[{at}]") for at, tool in enumerate(self.tools)),
            tool_choice=chosen_tool(self.tool_choice),
        )


def _needed(value: object, place: str) -> None:
    """Raises `ApiError` where an item lacks what its type wants."""
    if not value:
        raise ApiError(400, f"{place}: is missing.", param=place, code="missing_required_parameter")


def _calls_joined(messages: Iterable[Message]) -> list[Message]:
    """Calls that follow each other, or what was said with them, as one message."""
    joined: list[Message] = []
    for message in messages:
        if message.tool_calls and joined and joined[-1].role == "assistant":
            joined[-1] = replace(joined[-1], tool_calls=(*joined[-1].tool_calls, *message.tool_calls))
        else:
            joined.append(message)
    return joined
