"""Conversations of other programs: trees of messages of ChatGPT and Open WebUI become trees of turns.

ChatGPT's conversations.json is a list of conversations with a `mapping` of nodes and a `current_node`; Open WebUI
exports a list of chats, each with `history.messages` by id and a `currentId`. Both keep every edit and every other
answer.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

from dlp_local.core.chat_options import ChatOptions
from dlp_local.core.text import fenced
from dlp_local.history.model import Conversation, ConversationInfo, StoredTurn, title_of
from dlp_local.history.stored import now

_REFERENCE = re.compile("\ue200[^\ue201]*\ue201")
"""What ChatGPT writes for a reference to a page that it read; signs of private use, which no font has."""

_REASONING = re.compile(r'<details\b[^>]*\btype="reasoning"[^>]*>.*?</details>\s*', re.DOTALL)
"""Where Open WebUI keeps the reasoning before an answer; it is left out, as it is from what a model is sent."""

NOT_EXPORTED = "[{}: not in the export]"


@dataclass(frozen=True, slots=True)
class _Node:
    """One message of a tree; what says nothing (tools, hidden instructions) has no role and is passed through."""

    role: Literal["user", "assistant", ""]
    text: str
    at: str
    children: tuple[str, ...]


@dataclass(slots=True)
class _Pending:
    """A turn that is being put together on the way down one branch; stored once, when the branch goes on or ends."""

    parent: int | None
    text: str
    at: str
    answers: tuple[str, ...] = ()
    turn: int | None = None


@dataclass(slots=True)
class _Turns:
    """The turns of a tree, each after its parent."""

    stored: list[StoredTurn] = field(default_factory=list)

    def store(self, pending: _Pending | None) -> int | None:
        """Stores a turn unless it is; returns its number."""
        if pending and pending.turn is None:
            pending.turn = len(self.stored) + 1
            answer = "\n\n".join(pending.answers)
            self.stored.append(
                StoredTurn(pending.turn, pending.parent, pending.text, answer, "done", created_at=pending.at)
            )
        return pending.turn if pending else None


def chatgpt_conversation(chat: Mapping[str, Any]) -> Conversation:
    """One conversation of ChatGPT's conversations.json."""
    nodes = {
        str(key): _chatgpt_node(node.get("message") or {}, tuple(map(str, node.get("children") or ())))
        for key, node in chat["mapping"].items()
    }
    roots = [str(key) for key, node in chat["mapping"].items() if node.get("parent") not in nodes]
    created = _time(chat.get("create_time"))
    changed = _time(chat.get("update_time"), created)
    return _conversation(nodes, roots, chat.get("current_node"), chat.get("title"), created, changed)


def _chatgpt_node(message: Mapping[str, Any], children: tuple[str, ...]) -> _Node:
    role = (message.get("author") or {}).get("role")
    content = message.get("content") or {}
    hidden = (message.get("metadata") or {}).get("is_visually_hidden_from_conversation")
    recipient = str(message.get("recipient") or "all")
    text = ""
    if recipient == "all" and content.get("content_type") in ("text", "multimodal_text"):
        text = _text(content.get("parts"))
    elif recipient == "all" and content.get("content_type") == "code":
        text = fenced(_text(content.get("text")))
    elif recipient.startswith("canmore."):  # a document beside the chat
        text = "[canvas: left out]"
    return _node(role, "" if hidden else _REFERENCE.sub("", text), message.get("create_time"), children)


def _text(content: object) -> str:
    """What is said by a text or by a list of parts; what is neither is named."""
    if not isinstance(content, list):
        return content if isinstance(content, str) else ""
    return "\n\n".join(filter(None, map(_part, content)))


def _part(part: object) -> str:
    if not isinstance(part, dict):
        return _text(part)
    kind = str(part.get("content_type") or part.get("type") or "a file")
    return _text(part.get("text")) or NOT_EXPORTED.format(kind.removesuffix("_asset_pointer").replace("_", " "))


def open_webui_conversation(exported: Mapping[str, Any]) -> Conversation:
    """One chat of an export of Open WebUI, as the whole record or as its `chat` alone."""
    chat = exported.get("chat") or exported
    history = chat["history"]
    children: dict[str, list[str]] = {
        str(key): list(map(str, message.get("childrenIds") or ())) for key, message in history["messages"].items()
    }
    for key, message in history["messages"].items():  # some messages only say whom they follow
        if (siblings := children.get(str(message.get("parentId")))) is not None and str(key) not in siblings:
            siblings.append(str(key))
    nodes = {
        str(key): _node(
            message.get("role"),
            _REASONING.sub("", _text(message.get("content"))),
            message.get("timestamp"),
            tuple(children[str(key)]),
        )
        for key, message in history["messages"].items()
    }
    roots = [str(key) for key, message in history["messages"].items() if message.get("parentId") not in nodes]
    created = _time(exported.get("created_at") or chat.get("timestamp"))
    changed = _time(exported.get("updated_at"), created)
    title = exported.get("title") or chat.get("title")
    pinned = bool(exported.get("pinned"))
    return _conversation(nodes, roots, history.get("currentId"), title, created, changed, pinned)


def _node(role: object, content: str, at: object, children: tuple[str, ...]) -> _Node:
    text = _whole_characters(content).strip()
    said: Literal["user", "assistant", ""] = "user" if role == "user" else "assistant" if role == "assistant" else ""
    return _Node(said if text else "", text, _time(at), children)


def _conversation(
    nodes: Mapping[str, _Node], roots: list[str], current: object, title: object, created: str, changed: str,
    pinned: bool = False,
) -> Conversation:  # fmt: skip
    """Walks a tree from its roots down; a message with its answer is a turn, other answers are other turns."""
    turns = _Turns()
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
            pending = _Pending(before.parent, before.text, before.at, (*before.answers, node.text))
        ends[key] = pending
        children = [child for child in node.children if child in nodes and child not in ends]
        if not children:
            turns.store(pending)
        to_visit += [(child, pending) for child in reversed(children)]
    tip = turns.store(ends.get(str(current))) or (turns.stored[-1].id if turns.stored else None)
    first = turns.stored[0].text if turns.stored else ""
    name = " ".join(_whole_characters(str(title or "")).split()) or title_of(first)
    info = ConversationInfo(0, name, pinned, len(turns.stored), created, changed, tip, ChatOptions())
    return Conversation(info, tuple(turns.stored))


def _time(seconds: object, otherwise: str = "") -> str:
    """Seconds or milliseconds since 1970 as UTC, ISO 8601; another time, or the present one, for what is none."""
    try:
        number = float(seconds)  # type: ignore[arg-type]
        return datetime.fromtimestamp(number / 1000 if number > 1e11 else number, UTC).isoformat()
    except (TypeError, ValueError, OverflowError, OSError):
        return otherwise or now()


def _whole_characters(text: str) -> str:
    """A text in which halves of surrogate pairs are joined, or are U+FFFD."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
