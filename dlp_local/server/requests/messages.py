"""Messages as OpenAI's clients send them → the conversation, and what of it is to be answered."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from pydantic import ConfigDict, Field

from dlp_local.core.values import Message, Role, ToolCall
from dlp_local.server.bodies import OpenBody, RequestBody
from dlp_local.server.errors import ApiError

ROLES: dict[str, Role] = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "assistant": "assistant",
    "tool": "tool",
}


HARMLESS_WITHIN = frozenset({"id", "status", "phase", "cache_control", "annotations", "logprobs"})
"""What messages and their pieces have that says nothing of the answer."""

TEXTS = ("text", "input_text", "output_text", "refusal")
"""The types of pieces that are text."""

NO_TEXT = (
    *("images", "image", "image_url", "audio", "input_audio", "video", "videos"),
    *("files", "file", "file_ids", "attachments", "experimental_attachments", "documents"),
)
"""What other clients call what goes along with a message beside its text."""


class ContentPart(OpenBody):
    """A piece of a message's content; text is the only kind that is read."""

    harmless: ClassVar[frozenset[str]] = HARMLESS_WITHIN

    type: str
    text: str | None = None
    refusal: str | None = None


class CalledFunction(RequestBody):
    """The function that was called, and its arguments as JSON text."""

    model_config = ConfigDict(extra="ignore")

    name: str
    arguments: str = "{}"


class Call(RequestBody):
    """A call that the assistant asked for."""

    model_config = ConfigDict(extra="ignore")

    id: str = ""
    type: Literal["function"] = "function"
    function: CalledFunction


class ChatMessage(OpenBody):
    """A message; what replies have beside these fields may come back in it."""

    harmless: ClassVar[frozenset[str]] = HARMLESS_WITHIN

    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: str | list[ContentPart] | None = Field(None, description="text, or pieces of type text")
    refusal: str | None = Field(None, description="of the assistant, in place of a content")
    tool_calls: list[Call] | None = Field(None, description="of the assistant")
    tool_call_id: str | None = Field(None, description="of a tool's result: which call it is of")

    def message(self, place: str) -> Message:
        """The message as the assistant takes it; raises `ApiError`."""
        refuse_no_text(self.model_extra, place, is_reply=self.role == "assistant" and bool(self.content))
        for name in ("tool_calls", "refusal"):
            if self.role != "assistant" and getattr(self, name):
                raise _refused(f"{place}.{name}", "only the assistant's messages have that. Leave it out.")
        if (self.model_extra or {}).get("function_call"):
            raise _refused(f"{place}.function_call", "is of an older API. Send tool_calls.")
        calls = tuple(ToolCall(c.function.name, c.function.arguments, c.id) for c in self.tool_calls or ())
        text = content_text(self.content, f"{place}.content")
        text = "\n".join(filter(None, (text, self.refusal)))
        return Message(ROLES[self.role], text, calls, self.tool_call_id or "")

    def passed_over(self) -> list[str]:
        """As of any; what came in an earlier reply needs no naming."""
        return [] if self.role == "assistant" else super().passed_over()


@dataclass(frozen=True, slots=True)
class Conversation:
    """What was said before, the user's message to be answered, and what has come of its answer so far.

    `tool_messages` are the calls made for it and their results, `answer_prefix` is the beginning of the answer.
    """

    history: tuple[Message, ...]
    text: str
    tool_messages: tuple[Message, ...] = ()
    answer_prefix: str = ""

    @property
    def has_system(self) -> bool:
        """Whether it brings instructions of its own."""
        return any(message.role == "system" for message in self.history)


def refuse_no_text(more: Mapping[str, Any] | None, place: str, *, is_reply: bool = False) -> None:
    """Raises `ApiError` where an image, a file or the like came beside a message's text; a reply may have had one."""
    found = next((name for name in NO_TEXT if (more or {}).get(name)), None)
    if found and not is_reply:
        place = f"{place}.{found}"
        raise ApiError(
            400, f"{place}: cannot be read, only text. Leave it out.", param=place, code="unsupported_content"
        )


def _refused(place: str, reason: str) -> ApiError:
    return ApiError(400, f"{place}: {reason}", param=place, code="invalid_value")


def content_text(content: str | Sequence[ContentPart] | None, place: str) -> str:
    """The text of a content, its pieces joined by line breaks; raises `ApiError` for anything that is no text."""
    if content is None:
        return ""
    if isinstance(content, str):
        pieces = [content]
    else:
        pieces = [_piece(part, f"{place}[{number}]") for number, part in enumerate(content)]
    return "\n".join(pieces)


def _piece(part: ContentPart, place: str) -> str:
    text = part.refusal if part.type == "refusal" else part.text
    if part.type in TEXTS and text is None:
        place = f"{place}.{'refusal' if part.type == 'refusal' else 'text'}"
        raise ApiError(400, f"{place}: is missing.", param=place, code="missing_required_parameter")
    if part.type not in TEXTS or text is None:
        raise ApiError(
            400, f"{place}: '{part.type[:64]}' cannot be read, only text. Leave it out.",
            param=place, code="unsupported_content",
        )  # fmt: skip
    return text


def conversation(messages: Sequence[ChatMessage], most: int) -> Conversation:
    """What the messages of a request ask for; raises `ApiError`.

    The last message of the user is answered. An assistant's message at the end is the beginning of the answer. Where
    there are instructions alone, the last of them is answered.
    """
    if not messages:
        raise ApiError(400, "messages: is empty. Send one of the user.", param="messages", code="invalid_value")
    if len(messages) > most:
        raise ApiError(400, f"messages: more than {most}. Send fewer.", param="messages", code="invalid_value")
    said = [message.message(f"messages[{number}]") for number, message in enumerate(messages)]
    return split_off_last(said, "messages")


def split_off_last(said: Sequence[Message], param: str) -> Conversation:
    """A conversation with what of it is to be answered apart; raises `ApiError` where nothing is."""
    begun = said[-1].role == "assistant" and not said[-1].tool_calls
    before = said[:-1] if begun else said
    of_user = [index for index, message in enumerate(before) if message.role == "user"]
    at = of_user[-1] if of_user else len(before) - 1
    later = [message for message in before[at + 1 :] if message.role != "system"]
    if at < 0 or not (_are_calls(later) if of_user else before[at].role == "system"):
        raise ApiError(400, f"{param}: no message of the user is to be answered.", param=param, code="invalid_value")
    if not before[at].content.strip():
        raise ApiError(400, f"{param}: the last message is empty. Write something.", param=param, code="invalid_value")
    instructions_after_it = (message for message in before[at + 1 :] if message.role == "system")
    history = (*before[:at], *instructions_after_it)
    return Conversation(history, before[at].content, tuple(later), said[-1].content if begun else "")


def _are_calls(messages: Sequence[Message]) -> bool:
    """Whether messages are calls of tools, each with its results; also where there are none."""
    firsts = [messages[0], messages[-1]] if messages else []
    return not firsts or (bool(firsts[0].tool_calls) and firsts[1].role == "tool")
