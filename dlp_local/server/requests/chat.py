"""`/v1/chat/completions`: the request."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from dlp_local.core.answer_format import MOST_LOGPROBS, AnswerFormat
from dlp_local.server.bodies import HARMLESS, RequestBody, Unused
from dlp_local.server.requests.formats import (
    FunctionTool,
    ResponseFormat,
    ToolChoice,
    biases,
    checked_format,
    chosen_tool,
    top_logprobs,
)
from dlp_local.server.requests.messages import ChatMessage
from dlp_local.server.requests.sampling import THOUGHT, SamplingRequest

UNUSED = Unused(HARMLESS, THOUGHT | {"messages[].name"})


class StreamOptions(RequestBody):
    """What a stream has beside the answer."""

    include_usage: bool = Field(False, description="one more chunk at the end, with the tokens")
    include_obfuscation: bool = Field(False, description="has no effect: nothing is added")


class ChatRequest(SamplingRequest):
    """A conversation whose last message is to be answered."""

    messages: list[ChatMessage]
    n: int = Field(1, ge=1, description="how many answers")
    modalities: list[Literal["text"]] = Field(["text"], description="what an answer may be: text")
    max_completion_tokens: int | None = Field(None, ge=1, description="as max_tokens")
    stream_options: StreamOptions | None = None
    response_format: ResponseFormat | None = None
    grammar: str = Field("", description="GBNF that the answer follows")
    tools: list[FunctionTool] = Field([], description="functions of the client's")
    tool_choice: ToolChoice = "auto"
    parallel_tool_calls: bool = Field(True, description="false: one call at most")
    logprobs: bool = False
    top_logprobs: int | None = Field(None, ge=0, le=MOST_LOGPROBS)
    logit_bias: dict[str, float] = Field({}, description="token's number → what is added to its logit")

    def answer_format(self) -> AnswerFormat:
        """The form of the answer; raises `ApiError`."""
        return checked_format(
            grammar=self.grammar,
            json_schema=self.response_format.schema_text() if self.response_format else "",
            logprobs=top_logprobs(self.logprobs, self.top_logprobs),
            logit_bias=biases(self.logit_bias),
            tools=tuple(tool.function.tool(f"tools[{at}].function") for at, tool in enumerate(self.tools)),
            tool_choice=chosen_tool(self.tool_choice),
        )

    def longest(self) -> int | None:
        """The most tokens of an answer; raises `ApiError` where two different numbers are given."""
        return self.one_of("max_completion_tokens", "max_tokens")
