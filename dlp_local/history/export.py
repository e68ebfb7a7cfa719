"""A conversation as a file: JSON, which can be read back unchanged, Markdown and HTML, with the routing receipts."""

from __future__ import annotations

import html
import json
from collections.abc import Callable
from typing import Any

from dlp_local.core.errors import InputError
from dlp_local.core.receipt import receipt_lines
from dlp_local.core.serialize import receipt_json
from dlp_local.core.text import visible
from dlp_local.history.model import Conversation, StoredTurn

FORMAT = 1


def export(conversation: Conversation, suffix: str) -> str:
    """The text of a file with that suffix: the whole tree as `.json`, the shown path as `.md` or `.html`.

    Raises `InputError` for another suffix; `.markdown`, `.htm` and capitals are the same.
    """
    writer = _WRITERS.get(suffix.lower())
    if writer is None:
        raise InputError(f"'{suffix}' is no format to export to. Name a file .md, .html or .json.")
    return writer(conversation)


def to_json(conversation: Conversation) -> str:
    """Everything, as `read_conversations` reads it."""
    return json.dumps(conversation_json(conversation), indent=1) + "\n"


def conversation_json(conversation: Conversation) -> dict[str, Any]:
    """The whole tree of a conversation, with its options and receipts."""
    info = conversation.info
    about = {
        "format": FORMAT,
        "title": info.title,
        "pinned": info.pinned,
        "created_at": info.created_at,
        "changed_at": info.changed_at,
        "tip": info.tip,
        "options": info.options.model_dump(exclude_defaults=True, mode="json"),
    }
    turns = [
        {
            "id": turn.id,
            "parent": turn.parent,
            "text": turn.text,
            "answer": turn.answer,
            "state": turn.state,
            "error": turn.error,
            "receipt": receipt_json(turn.done) if turn.done else None,
            "pack": turn.pack,
            "created_at": turn.created_at,
        }
        for turn in conversation.turns
    ]
    return about | {"turns": turns}


def to_markdown(conversation: Conversation) -> str:
    """The shown path: messages as quotations, answers as they are, receipts in italics."""
    parts = [f"# {visible(conversation.info.title)}"]
    for turn in conversation.path():
        parts.append("\n".join(f"> {line}" for line in visible(turn.text).splitlines()))
        if turn.answer:
            parts.append(visible(turn.answer))
        if receipt := _receipt(turn):
            parts.append("  \n".join(f"*{line}*" for line in receipt))
    return "\n\n".join(parts) + "\n"


_STYLE = """
:root { color-scheme: light dark }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 46rem; margin: 2rem auto; padding: 0 1rem }
.said { border-left: 3px solid #0a7bbd; padding-left: .8rem; font-weight: 600; white-space: pre-wrap }
.receipt { opacity: .65; font-size: .85rem; margin-bottom: 2rem }
pre { background: #8882; padding: .6rem; overflow-x: auto; white-space: pre }
table { display: block; overflow-x: auto; border-collapse: collapse; margin: 1rem 0 }
th, td { border: 1px solid #8888; padding: .3rem .6rem; text-align: left; vertical-align: top }
"""


def to_html(conversation: Conversation) -> str:
    """The shown path as one page that needs nothing else; a message or an answer cannot put tags or scripts into it."""
    from markdown_it import MarkdownIt  # sixty modules, for one of the formats

    renderer = MarkdownIt("commonmark", {"html": False}).enable(["table", "strikethrough"]).disable("image")
    title = html.escape(visible(conversation.info.title))
    body = [f"<h1>{title}</h1>"]
    for turn in conversation.path():
        body.append(f'<p class="said">{html.escape(visible(turn.text))}</p>')
        if turn.answer:
            body.append(str(renderer.render(visible(turn.answer))))
        if receipt := _receipt(turn):
            body.append(f'<p class="receipt">{"<br>".join(map(html.escape, receipt))}</p>')
    head = f'<meta charset="utf-8"><title>{title}</title><style>{_STYLE}</style>'
    return f"<!doctype html>\n<html><head>{head}</head><body>\n" + "\n".join(body) + "\n</body></html>\n"


def _receipt(turn: StoredTurn) -> list[str]:
    """The lines that stand under an answer; none where it came from another program, without a receipt."""
    if turn.done and not turn.error:
        return [visible(line) for line in receipt_lines(turn.done)]
    ending = visible(turn.error) or ("" if turn.answer else "no answer")
    return [ending] if ending else []


_WRITERS: dict[str, Callable[[Conversation], str]] = {
    ".json": to_json,
    ".md": to_markdown,
    ".markdown": to_markdown,
    ".html": to_html,
    ".htm": to_html,
}
