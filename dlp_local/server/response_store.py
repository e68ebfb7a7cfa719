"""Responses that can be gone on with: in memory, bounded in number and in bytes."""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

from dlp_local.core.values import Message
from dlp_local.server.replies.responses import Response

BYTES_A_CHARACTER = 4
OVERHEAD = 2048
"""Bytes of the objects of a stored response, about."""


@dataclass(frozen=True, slots=True)
class StoredResponse:
    """A response, and the whole conversation up to its end, without instructions."""

    response: Response
    conversation: tuple[Message, ...]


class ResponseStore:
    """The last used responses of each owner; nobody sees those of another. For one event loop."""

    def __init__(self, most: int, most_bytes: int) -> None:
        self._most, self._most_bytes, self._bytes = most, most_bytes, 0
        self._stored: OrderedDict[tuple[str, str], tuple[StoredResponse, int]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._stored)

    def add(self, owner: str, response: Response, conversation: Sequence[Message]) -> None:
        """Keeps a response; those that were not used for longest make room. One that is too long is not kept."""
        said = sum(len(message.content) for message in conversation)
        called = sum(len(call.arguments) for message in conversation for call in message.tool_calls)
        size = OVERHEAD + BYTES_A_CHARACTER * (said + called + len(json.dumps(response)))
        if size > self._most_bytes or not self._most:
            return
        self._stored[owner, response["id"]] = (StoredResponse(response, tuple(conversation)), size)
        self._bytes += size
        while len(self._stored) > self._most or self._bytes > self._most_bytes:
            _, (_, freed) = self._stored.popitem(last=False)
            self._bytes -= freed

    def get(self, owner: str, number: str) -> StoredResponse | None:
        """The response of this id, which counts as used; None where it is not (or no longer) here."""
        if (owner, number) not in self._stored:
            return None
        self._stored.move_to_end((owner, number))
        return self._stored[owner, number][0]

    def remove(self, owner: str, number: str) -> bool:
        """Forgets a response; whether it was here."""
        _, size = self._stored.pop((owner, number), (None, 0))
        self._bytes -= size
        return size > 0
