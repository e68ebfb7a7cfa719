"""ChatGPT's conversations.json: a list of conversations, each with a `mapping` of nodes and a `current_node`.

It keeps every edit and every other answer.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from dlp_local.core.text import fenced
from dlp_local.history.message_trees import Node, children_of, conversation_of, node_of, text_of, time_of, with_files
from dlp_local.history.model import Conversation

_REFERENCE = re.compile("\ue200[^\ue201]*\ue201")
"""What ChatGPT writes for a reference to a page that it read; signs of private use, which no font has."""


def is_chatgpt(chat: object) -> bool:
    """Whether what was exported is a conversation of ChatGPT."""
    return isinstance(chat, dict) and "mapping" in chat


def chatgpt_conversation(chat: Mapping[str, Any]) -> Conversation:
    """One conversation of ChatGPT's conversations.json."""
    children = children_of(chat["mapping"], "parent", "children")
    nodes = {str(key): _message(node.get("message") or {}, children[str(key)]) for key, node in chat["mapping"].items()}
    roots = [str(key) for key, node in chat["mapping"].items() if node.get("parent") not in nodes]
    created = time_of(chat.get("create_time"))
    changed = time_of(chat.get("update_time"), created)
    return conversation_of(nodes, roots, chat.get("current_node"), chat.get("title"), created, changed)


def _message(message: Mapping[str, Any], children: Iterable[object]) -> Node:
    role = (message.get("author") or {}).get("role")
    content = message.get("content") or {}
    metadata = message.get("metadata") or {}
    recipient = str(message.get("recipient") or "all")
    text = ""
    if recipient == "all" and content.get("content_type") in ("text", "multimodal_text"):
        text = text_of(content.get("parts")) or text_of(content.get("text"))
    elif recipient == "all" and content.get("content_type") == "code":
        text = fenced(text_of(content.get("text")))
    elif recipient.startswith("canmore."):  # a document beside the chat
        text = "[canvas: left out]"
    text = with_files(_REFERENCE.sub("", text), _files(content, metadata))
    hidden = metadata.get("is_visually_hidden_from_conversation")
    return node_of(role, "" if hidden else text, message.get("create_time"), children)


def _files(content: Mapping[str, Any], metadata: Mapping[str, Any]) -> list[object]:
    """The names of the files that came with a message, without those that are parts of it, as images are."""
    parts = content.get("parts")
    shown = [str(part.get("asset_pointer")) for part in parts or () if isinstance(part, dict)]
    return [
        file.get("name")
        for file in metadata.get("attachments") or ()
        if not any(str(file.get("id")) in pointer for pointer in shown)
    ]
