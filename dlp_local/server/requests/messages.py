"""Messages as OpenAI's clients send them → the conversation, and what of it is to be answered."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from pydantic import ConfigDict, Field

from dlp_local.core.text import is_unicode
from dlp_local.core.values import Message, Role
from dlp_local.server.bodies import RequestBody
from dlp_local.server.errors import ApiError

_ROLES: dict[str, Role] = {"system": "system", "developer": "system", "user": "user", "assistant": "assistant"}


class ContentPart(RequestBody):
    """A piece of a message's content; text is the only kind that is read."""

    model_config = ConfigDict(extra="ignore")

    type: str
    text: str | None = None
    refusal: str | None = None


class ChatMessage(RequestBody):
    """A message; what replies have beside these fields may come back in it."""

    model_config = ConfigDict(extra="ignore")

    role: Literal["system", "developer", "user", "assistant"]
    content: str | list[ContentPart] | None = Field(None, description="text, or pieces of type text")


@dataclass(frozen=True, slots=True)
class Conversation:
    """What was said before, the user's message to be answered, and the beginning of its answer, if there is one."""

    history: tuple[Message, ...]
    text: str
    answer_prefix: str = ""

    @property
    def has_system(self) -> bool:
        """Whether it brings instructions of its own."""
        return any(message.role == "system" for message in self.history)


def content_text(content: str | Sequence[ContentPart] | None, place: str) -> str:
    """The text of a content, its pieces joined by line breaks; raises `ApiError` for anything that is no text."""
    if content is None:
        return ""
    if isinstance(content, str):
        pieces = [content]
    else:
        pieces = [_piece(part, f"{place}[{number}]") for number, part in enumerate(content)]
    text = "\n".join(pieces)
    if not is_unicode(text):
        raise ApiError(400, f"{place}: is no valid Unicode (half a surrogate pair).", param=place, code="invalid_value")
    return text


def _piece(part: ContentPart, place: str) -> str:
    text = part.refusal if part.type == "refusal" else part.text
    if part.type not in ("text", "input_text", "output_text", "refusal") or text is None:
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
    said = [
        Message(_ROLES[message.role], content_text(message.content, f"messages[{number}].content"))
        for number, message in enumerate(messages)
    ]
    return split_off_last(said, "messages")


def split_off_last(said: Sequence[Message], param: str) -> Conversation:
    """A conversation with what of it is to be answered apart."""
    begun = said[-1].role == "assistant"
    before = said[:-1] if begun else said
    of_user = [index for index, message in enumerate(before) if message.role == "user"]
    at = of_user[-1] if of_user else len(before) - 1
    if at < 0 or any(message.role == "assistant" for message in before[at:]):
        raise ApiError(400, f"{param}: no message of the user is to be answered.", param=param, code="invalid_value")
    if not before[at].content.strip():
        raise ApiError(400, f"{param}: the last message is empty. Write something.", param=param, code="invalid_value")
    instructions_after_it = before[at + 1 :]
    history = (*before[:at], *instructions_after_it)
    return Conversation(history, before[at].content, said[-1].content if begun else "")
