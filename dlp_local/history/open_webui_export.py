"""Open WebUI's exports of chats: a list of records, or one, each with a `chat`; or a chat alone.

A chat has its messages by id in `history.messages`, with every edit and every other answer, and a `history.currentId`;
those of the first versions have a list of `messages` alone. Source: open-webui, `createMessagesList` (utils/index.ts)
and `serialize_content_blocks` (utils/middleware.py).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from dlp_local.history.message_trees import Node, children_of, conversation_of, node_of, text_of, time_of, with_files
from dlp_local.history.model import Conversation

_BLOCK = re.compile(
    r'^[^\S\n]*<details\b[^>]*\btype="[^>]*>(?:[^\n]*</details>|.*?^</details>|.*?</details>|.*)\s*',
    re.DOTALL | re.MULTILINE,
)
"""Reasoning, a call of a tool or code that was run, as Open WebUI writes it into an answer; broken off, it has no end.

It is left out, as it is from what a model is sent. Details that an answer itself has are without a type.
"""

_UNKNOWN_ERROR = "This answer ended by an error."
_ERROR_KEYS = ("content", "message", "detail", "error")


def is_open_webui(exported: object) -> bool:
    """Whether what was exported is a chat of Open WebUI: known by its messages, for others have a `chat`, too."""
    chat = exported.get("chat", exported) if isinstance(exported, dict) else None
    if not isinstance(chat, dict):
        return False
    history, messages = chat.get("history"), chat.get("messages")
    if isinstance(history, dict) and "messages" in history:
        return True
    return isinstance(messages, list) and all(
        isinstance(message, dict) and {"role", "content"} <= message.keys() for message in messages
    )


def open_webui_conversation(exported: Mapping[str, Any]) -> Conversation:
    """One chat of an export of Open WebUI, as the whole record or as its `chat` alone."""
    chat = exported.get("chat") or exported
    history = chat.get("history") or {}
    if history.get("messages"):
        nodes, roots, current = *_tree(history["messages"]), history.get("currentId")
    else:
        nodes, roots, current = _line(chat.get("messages") or ())
    created = time_of(exported.get("created_at") or chat.get("timestamp"))
    changed = time_of(exported.get("updated_at"), created)
    title = exported.get("title") or chat.get("title")
    system = text_of((chat.get("params") or {}).get("system")) or text_of(chat.get("system"))
    return conversation_of(nodes, roots, current, title, created, changed, bool(exported.get("pinned")), system)


def _tree(messages: Mapping[str, Any]) -> tuple[dict[str, Node], list[str]]:
    """The messages of a chat with its branches, and those that it may begin with."""
    children = children_of(messages, "parentId", "childrenIds")  # some only say whom they follow
    nodes = {str(key): _message(message, children[str(key)]) for key, message in messages.items()}
    return nodes, [str(key) for key, message in messages.items() if message.get("parentId") not in nodes]


def _line(messages: Sequence[Mapping[str, Any]]) -> tuple[dict[str, Node], list[str], str]:
    """The messages of a chat without branches, the first one and the last one."""
    nodes = {str(number): _message(message, [str(number + 1)]) for number, message in enumerate(messages)}
    return nodes, ["0"], str(len(nodes) - 1)


def _message(message: Mapping[str, Any], children: Sequence[str]) -> Node:
    text, error = text_of(message.get("content")), message.get("error")
    if error is True:  # the first versions wrote what went wrong in place of the answer
        text, error = "", text
    problem = "" if error is None or error is False else _error_text(error)
    said = with_files(_BLOCK.sub("", text), map(_name, message.get("files") or ()))
    return node_of(message.get("role"), said, message.get("timestamp"), children, problem)


def _name(file: Mapping[str, Any]) -> object:
    """What a file is called: by its name, or by what kind it is of."""
    return file.get("name") or (file.get("file") or {}).get("filename") or file.get("type")


def _error_text(error: object) -> str:
    """What an answer ended by: a text, or an object with one, as the servers of models send it."""
    for _ in range(len(_ERROR_KEYS)):
        if isinstance(error, dict):
            error = next((error[key] for key in _ERROR_KEYS if error.get(key)), "")
    return text_of(error).strip() or _UNKNOWN_ERROR
