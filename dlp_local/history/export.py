"""A conversation as a file: JSON, which can be read back unchanged, Markdown and HTML, with the routing receipts."""

from __future__ import annotations

import html
import json
from datetime import datetime
from pathlib import Path
from typing import Any

from markdown_it import MarkdownIt

from dlp_local.core.chat_options import ChatOptions
from dlp_local.core.errors import InputError
from dlp_local.core.files import read_text
from dlp_local.core.receipt import reply_receipt
from dlp_local.core.serialize import receipt_json, reply_from_json
from dlp_local.core.text import visible
from dlp_local.history.model import Conversation, ConversationInfo, StoredTurn, TurnState

FORMAT = 1
_STATES: dict[str, TurnState] = {"sent": "sent", "done": "done", "failed": "failed"}


def export(conversation: Conversation, suffix: str) -> str:
    """The text of a file with that suffix: the whole tree as `.json`, the shown path as `.md` or `.html`.

    Raises `InputError` for another suffix.
    """
    writers = {".json": to_json, ".md": to_markdown, ".html": to_html}
    if suffix not in writers:
        raise InputError(f"'{suffix}' is no format to export to. Name a file .md, .html or .json.")
    return writers[suffix](conversation)


def to_json(conversation: Conversation) -> str:
    """Everything, as `from_json` reads it."""
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


def read_conversation(path: Path) -> Conversation:
    """A conversation out of the file that an export wrote; raises `InputError` that names what is wrong with it."""
    return from_json(read_text(path), str(path))


def from_json(text: str, name: str = "the file") -> Conversation:
    """A conversation that `to_json` wrote; raises `InputError` that names what is wrong with it."""
    try:
        given = json.loads(text)
        json.dumps(given, ensure_ascii=False).encode("utf-8")  # half a character can be neither stored nor shown
        if given["format"] == FORMAT:
            return _conversation(given)
    except (LookupError, TypeError, AttributeError, ValueError, OverflowError, RecursionError, InputError) as error:
        raise InputError(f"{name}: is no conversation exported by dlp-local ({error}). Export it again.") from None
    raise InputError(f"{name}: has format {given['format']}, and {FORMAT} is read here. Update dlp-local.")


def _conversation(given: dict[str, Any]) -> Conversation:
    turns = tuple(map(_turn, given["turns"]))
    known: set[int | None] = {None}
    for turn in turns:
        if turn.parent not in known or turn.id in known:
            raise ValueError(f"turn {turn.id} stands in no order")
        known.add(turn.id)
    if given["tip"] not in known:
        raise ValueError("the tip is no turn")
    info = ConversationInfo(
        id=0,
        title=str(given["title"]),
        pinned=bool(given["pinned"]),
        turns=len(turns),
        created_at=_time(given["created_at"]),
        changed_at=_time(given["changed_at"]),
        tip=given["tip"],
        options=ChatOptions.model_validate(given["options"]),
    )
    return Conversation(info, turns)


def _time(given: object) -> str:
    """A time as it was written; raises `ValueError` or `OverflowError` for what is none."""
    datetime.fromisoformat(str(given)).astimezone()
    return str(given)


def _turn(given: dict[str, Any]) -> StoredTurn:
    number, parent = given["id"], given["parent"]
    if type(number) is not int or not (parent is None or type(parent) is int):
        raise ValueError("a turn's number is none")
    text, answer = str(given["text"]), str(given["answer"])
    done = reply_from_json(text, answer, given["receipt"]) if given["receipt"] else None
    state = _STATES[given["state"]]
    return StoredTurn(
        number, parent, text, answer, state, str(given["error"]), done, str(given["pack"]), str(given["created_at"])
    )


def to_markdown(conversation: Conversation) -> str:
    """The shown path: messages as quotations, answers as they are, receipts in italics."""
    parts = [f"# {visible(conversation.info.title)}"]
    for turn in conversation.path():
        parts.append("\n".join(f"> {line}" for line in visible(turn.text).splitlines()))
        if turn.answer:
            parts.append(visible(turn.answer))
        parts.append(f"*{_receipt(turn)}*")
    return "\n\n".join(parts) + "\n"


_STYLE = """
:root { color-scheme: light dark }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 46rem; margin: 2rem auto; padding: 0 1rem }
.said { border-left: 3px solid #0a7bbd; padding-left: .8rem; font-weight: 600; white-space: pre-wrap }
.receipt { opacity: .65; font-size: .85rem; margin-bottom: 2rem }
pre { background: #8882; padding: .6rem; overflow-x: auto }
"""


def to_html(conversation: Conversation) -> str:
    """The shown path as one page that needs nothing else; a message or an answer cannot put tags or scripts into it."""
    renderer = MarkdownIt("commonmark", {"html": False}).enable("table").disable("image")
    title = html.escape(visible(conversation.info.title))
    body = [f"<h1>{title}</h1>"]
    for turn in conversation.path():
        body.append(f'<p class="said">{html.escape(visible(turn.text))}</p>')
        if turn.answer:
            body.append(str(renderer.render(visible(turn.answer))))
        body.append(f'<p class="receipt">{html.escape(_receipt(turn))}</p>')
    head = f'<meta charset="utf-8"><title>{title}</title><style>{_STYLE}</style>'
    return f"<!doctype html>\n<html><head>{head}</head><body>\n" + "\n".join(body) + "\n</body></html>\n"


def _receipt(turn: StoredTurn) -> str:
    if turn.done and not turn.error:
        return visible(" · ".join(reply_receipt(turn.done)))
    return visible(turn.error) or "no answer"
