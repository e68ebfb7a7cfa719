"""Trees of messages, as other programs keep conversations, become trees of turns."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

from dlp_local.core.chat_options import ChatOptions
from dlp_local.core.values import BLANK_LINE
from dlp_local.history.model import Conversation, ConversationInfo, StoredTurn, TurnState, title_of
from dlp_local.history.stored import now

_Role = Literal["user", "assistant", "system", ""]

NOT_EXPORTED = "[{}: not in the export]"


@dataclass(frozen=True, slots=True)
class Node:
    """One message of a tree; what says nothing (tools, hidden instructions) has no role and is passed through.

    What a system prompt says is the conversation's, where nothing was said before it.
    """

    role: _Role
    text: str
    at: str
    children: tuple[str, ...]
    error: str = ""
    """What an answer ended by, where that was an error."""


@dataclass(slots=True)
class _Pending:
    """A turn that is being put together on the way down one branch; stored once, when the branch goes on or ends."""

    parent: int | None
    text: str
    at: str
    answers: tuple[str, ...] = ()
    error: str = ""
    turn: int | None = None


@dataclass(slots=True)
class _Turns:
    """The turns of a tree, each after its parent."""

    stored: list[StoredTurn] = field(default_factory=list)

    def store(self, pending: _Pending | None) -> int | None:
        """Stores a turn unless it is; returns its number."""
        if pending and pending.turn is None:
            pending.turn = len(self.stored) + 1
            answer = BLANK_LINE.join(pending.answers)
            state: TurnState = "failed" if pending.error else "done"
            self.stored.append(
                StoredTurn(
                    pending.turn, pending.parent, pending.text, answer, state, pending.error, created_at=pending.at
                )
            )
        return pending.turn if pending else None


def text_of(content: object) -> str:
    """What is said by a text or by a list of parts; what is neither is named."""
    if not isinstance(content, list):
        return content if isinstance(content, str) else ""
    return BLANK_LINE.join(filter(None, map(_part, content)))


def _part(part: object) -> str:
    if not isinstance(part, dict):
        return text_of(part)
    kind = str(part.get("content_type") or part.get("type") or "a file")
    return text_of(part.get("text")) or NOT_EXPORTED.format(kind.removesuffix("_asset_pointer").replace("_", " "))


def with_files(text: str, names: Iterable[object]) -> str:
    """What is said by a message that came with files: each is named."""
    named = (NOT_EXPORTED.format(" ".join(str(name or "a file").split())) for name in names)
    return BLANK_LINE.join(filter(None, (text.strip(), *named)))


def children_of(messages: Mapping[str, Mapping[str, Any]], parent: str, children: str) -> dict[str, list[str]]:
    """The messages that follow each one, by their own word (`parent`) or by that of the one before (`children`)."""
    found = {str(key): list(map(str, message.get(children) or ())) for key, message in messages.items()}
    for key, message in messages.items():
        if (siblings := found.get(str(message.get(parent)))) is not None and str(key) not in siblings:
            siblings.append(str(key))
    return found


_ROLES: Mapping[str, _Role] = {
    "user": "user",
    "assistant": "assistant",
    "system": "system",
    "developer": "system",
}


def node_of(role: object, content: str, at: object, children: Iterable[object], error: str = "") -> Node:
    """A message with the names of those that follow it; `at` is as `time_of` takes it. Only answers have errors."""
    said: _Role = _ROLES.get(role, "") if isinstance(role, str) else ""
    text = whole_characters(content).strip()
    problem = whole_characters(error).strip() if said == "assistant" else ""
    return Node(said if text or problem else "", text, time_of(at), tuple(map(str, children)), problem)


def conversation_of(
    nodes: Mapping[str, Node], roots: list[str], current: object, title: object, created: str, changed: str,
    pinned: bool = False, system: str = "",
) -> Conversation:  # fmt: skip
    """Walks a tree from its roots down; a message with its answer is a turn, other answers are other turns.

    Its system prompt is `system`, or else what messages of the tree say before all others.
    """
    turns = _Turns()
    prompts: list[str] = []
    ends: dict[str, _Pending | None] = {}
    to_visit: list[tuple[str, _Pending | None]] = [(root, None) for root in reversed(roots)]
    while to_visit:
        key, pending = to_visit.pop()
        if key in ends or key not in nodes:
            continue
        node = nodes[key]
        if node.role == "user":
            pending = _Pending(turns.store(pending), node.text, node.at)
        elif node.role == "assistant":
            before = pending or _Pending(None, "", node.at)
            answers = (*before.answers, node.text) if node.text else before.answers
            pending = _Pending(before.parent, before.text, before.at, answers, node.error)
        elif node.role == "system" and pending is None and node.text not in prompts:
            prompts.append(node.text)
        ends[key] = pending
        children = [child for child in node.children if child in nodes and child not in ends]
        if not children:
            turns.store(pending)
        to_visit += [(child, pending) for child in reversed(children)]
    tip = turns.store(ends.get(str(current))) or (turns.stored[-1].id if turns.stored else None)
    first = turns.stored[0].text if turns.stored else ""
    name = " ".join(whole_characters(str(title or "")).split()) or title_of(first)
    prompt = whole_characters(system).strip() or BLANK_LINE.join(prompts)
    options = ChatOptions(system=prompt) if prompt else ChatOptions()
    info = ConversationInfo(0, name, pinned, len(turns.stored), created, changed, tip, options)
    return Conversation(info, tuple(turns.stored))


def time_of(seconds: object, otherwise: str = "") -> str:
    """Seconds or milliseconds since 1970 as UTC, ISO 8601; another time, or the present one, for what is none."""
    try:
        number = float(seconds)  # type: ignore[arg-type]
        return datetime.fromtimestamp(number / 1000 if number > 1e11 else number, UTC).isoformat()
    except (TypeError, ValueError, OverflowError, OSError):
        return otherwise or now()


def whole_characters(text: str) -> str:
    """A text in which halves of surrogate pairs are joined, or are U+FFFD."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
