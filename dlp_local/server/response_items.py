"""The output of a response as it grows, and the events that tell of it."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Sequence
from itertools import count
from typing import Any, cast

from dlp_local.core.events import TokenScores
from dlp_local.core.values import ToolCall
from dlp_local.server.replies.logprobs import token_logprobs
from dlp_local.server.replies.responses import (
    FunctionCall,
    ItemStatus,
    OutputItem,
    OutputMessage,
    OutputText,
    ReasoningItem,
    ReasoningText,
    ResponseEvent,
)


class ResponseItems:
    """The items so far; each method gives the events that its call makes, for which `event` counts."""

    def __init__(self) -> None:
        self.output: list[OutputItem] = []
        self._open: OutputMessage | ReasoningItem | None = None
        self._numbers = count()

    def event(self, kind: str, **fields: Any) -> ResponseEvent:
        """The next event."""
        return cast(ResponseEvent, {"type": kind, "sequence_number": next(self._numbers), **fields})

    def text(self, delta: str, scores: Sequence[TokenScores]) -> Iterator[ResponseEvent]:
        """More of the answer."""
        if self._open is None or self._open["type"] != "message":
            yield from self.close()
            yield from self._begin(
                OutputMessage(type="message", id=_id("msg"), status="in_progress", role="assistant", content=[]),
                OutputText(type="output_text", text="", annotations=[], logprobs=[]),
            )
        message = cast(OutputMessage, self._open)
        logprobs = token_logprobs(scores)
        message["content"][0]["text"] += delta
        message["content"][0]["logprobs"] += logprobs
        yield self._of_part("response.output_text.delta", delta=delta, logprobs=logprobs)

    def reasoning(self, delta: str) -> Iterator[ResponseEvent]:
        """More of what the model thinks."""
        if self._open is None or self._open["type"] != "reasoning":
            yield from self.close()
            yield from self._begin(
                ReasoningItem(type="reasoning", id=_id("rs"), status="in_progress", summary=[], content=[]),
                ReasoningText(type="reasoning_text", text=""),
            )
        cast(ReasoningItem, self._open)["content"][0]["text"] += delta
        yield self._of_part("response.reasoning_text.delta", delta=delta)

    def call(self, call: ToolCall) -> Iterator[ResponseEvent]:
        """A call, whole."""
        yield from self.close()
        item = FunctionCall(
            type="function_call", id=_id("fc"), call_id=call.id, status="in_progress", name=call.name, arguments=""
        )
        self.output.append(item)
        place = {"item_id": item["id"], "output_index": len(self.output) - 1}
        yield self.event("response.output_item.added", output_index=place["output_index"], item=dict(item))
        yield self.event("response.function_call_arguments.delta", **place, delta=call.arguments)
        item["arguments"], item["status"] = call.arguments, "completed"
        done = {"name": call.name, "arguments": call.arguments}
        yield self.event("response.function_call_arguments.done", **place, **done)
        yield self.event("response.output_item.done", output_index=place["output_index"], item=dict(item))

    def close(self, status: ItemStatus = "completed") -> Iterator[ResponseEvent]:
        """The end of the item that is open, if one is."""
        if (item := self._open) is None:
            return
        part, kind = item["content"][0], item["content"][0]["type"]
        logprobs = {"logprobs": part["logprobs"]} if part["type"] == "output_text" else {}
        yield self._of_part(f"response.{kind}.done", text=part["text"], **logprobs)
        yield self._of_part("response.content_part.done", part=dict(part))
        item["status"], self._open = status, None
        index = len(self.output) - 1
        yield self.event("response.output_item.done", output_index=index, item={**item, "content": [dict(part)]})

    def _begin(self, item: OutputMessage | ReasoningItem, part: OutputText | ReasoningText) -> Iterator[ResponseEvent]:
        self.output.append(item)
        self._open = item
        index = len(self.output) - 1
        yield self.event("response.output_item.added", output_index=index, item={**item, "content": []})
        item["content"].append(part)  # type: ignore[arg-type]
        yield self._of_part("response.content_part.added", part=dict(part))

    def _of_part(self, kind: str, **fields: Any) -> ResponseEvent:
        assert self._open is not None
        place = {"item_id": self._open["id"], "output_index": len(self.output) - 1, "content_index": 0}
        return self.event(kind, **place, **fields)


def _id(kind: str) -> str:
    return f"{kind}_{secrets.token_hex(12)}"
