"""Conversations out of files: our own exports, and those of ChatGPT and Open WebUI, known by what is in them."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from dlp_local.core.chat_options import ChatOptions
from dlp_local.core.errors import InputError
from dlp_local.core.fields import problems
from dlp_local.core.files import MAX_TEXT, decode, read_bytes
from dlp_local.core.json_text import parse_json
from dlp_local.core.serialize import reply_from_json
from dlp_local.history.chatgpt_export import chatgpt_conversation, is_chatgpt
from dlp_local.history.export import FORMAT
from dlp_local.history.model import Conversation, ConversationInfo, StoredTurn, TurnState
from dlp_local.history.open_webui_export import is_open_webui, open_webui_conversation

WHAT_IS_READ = "Read are a .json file of `history export`, ChatGPT's conversations.json and Open WebUI's chat exports."

_STATES: dict[str, TurnState] = {"sent": "sent", "done": "done", "failed": "failed"}
_Reader = Callable[[dict[str, Any]], Conversation]
T = TypeVar("T")

_WRONG = (LookupError, TypeError, AttributeError, ValueError, OverflowError, RecursionError, InputError)
"""What reading JSON of another shape may raise."""


class _UnreadableError(ValueError):
    """Says in plain words what is wrong with an export."""


def read_conversations(path: Path) -> tuple[Conversation, ...]:
    """The conversations in a file, with their branches, at least one.

    Raises `InputError` that names what is wrong with the file, or what is read.
    """
    raw = read_bytes(path, MAX_TEXT, "Name another file.")
    if raw.startswith(b"PK\x03\x04"):
        raise InputError(f"{path}: is a ZIP archive. Unpack it, and name the conversations.json in it.")
    return conversations_from_json(decode(raw, str(path)), str(path))


def conversations_from_json(text: str, name: str = "the file") -> tuple[Conversation, ...]:
    """The conversations in the text of an export; raises `InputError` that calls it by `name`."""
    exported = parse_json(text, name, WHAT_IS_READ, only_finite=False)
    if isinstance(exported, dict) and type(exported.get("format")) is int:
        return (_own_conversation(exported, name),)
    chats = exported if isinstance(exported, list) else [exported]
    for kind, is_of_kind, read in _FOREIGN:
        if any(map(is_of_kind, chats)):
            return _foreign_conversations(chats, kind, read, name)
    raise InputError(f"{name}: is no export of conversations that is known. {WHAT_IS_READ}")


def _foreign_conversations(chats: list[Any], kind: str, read: _Reader, name: str) -> tuple[Conversation, ...]:
    conversations = []
    for number, chat in enumerate(chats, start=1):
        if chat is None:  # one that its program could not write
            continue
        try:
            conversation = read(chat)
        except _WRONG as error:
            reason = f"conversation {number} cannot be read ({_reason(error)})"
            raise InputError(f"{name}: {kind}, but {reason}. Export it again, or take that one out.") from None
        if conversation.turns:
            conversations.append(conversation)
    if not conversations:
        raise InputError(f"{name}: {kind}, but nothing was said in it. Name another file.")
    return tuple(conversations)


def _own_conversation(exported: dict[str, Any], name: str) -> Conversation:
    try:
        json.dumps(exported, ensure_ascii=False).encode("utf-8")  # half a character can be neither stored nor shown
        if exported["format"] == FORMAT:
            return _conversation(exported)
    except _WRONG as error:
        reason = f"cannot be read as a conversation of dlp-local's ({_reason(error)})"
        raise InputError(f"{name}: {reason}. Export it again, or name another file.") from None
    raise InputError(f"{name}: has format {exported['format']}, and {FORMAT} is read here. Update dlp-local.")


def _reason(error: Exception) -> str:
    """What is wrong with an export, in plain words."""
    match error:
        case _UnreadableError() | InputError():
            return str(error).rstrip(".")
        case ValidationError():
            return problems(error, ChatOptions)
        case KeyError(args=[str() as key]):
            return f"it has no {key[:40]!a}"
        case UnicodeError():
            return "a text has half a character in it"
        case RecursionError():
            return "it is nested too deeply"
    return "what is in it is laid out in another way"


def _conversation(exported: dict[str, Any]) -> Conversation:
    turns = tuple(map(_turn, exported["turns"]))
    known: set[int | None] = {None}
    for turn in turns:
        if turn.parent not in known or turn.id in known:
            raise _UnreadableError(f"turn {turn.id} stands before the one that it follows")
        known.add(turn.id)
    if exported["tip"] not in known:
        raise _UnreadableError("the turn that it is to be shown up to is not there")
    info = ConversationInfo(
        id=0,
        title=_of(str, exported, "title"),
        pinned=_of(bool, exported, "pinned"),
        turns=len(turns),
        created_at=_time(exported["created_at"]),
        changed_at=_time(exported["changed_at"]),
        tip=exported["tip"],
        options=ChatOptions.model_validate(exported["options"]),
    )
    return Conversation(info, turns)


def _of(kind: type[T], exported: dict[str, Any], key: str) -> T:
    """A field of a type; raises `_UnreadableError` for another one: what is shown would not be what was said."""
    value = exported[key]
    if type(value) is not kind:
        raise _UnreadableError(f"its {key} is not {'true or false' if kind is bool else 'text'}")
    return value


def _time(written: object) -> str:
    """A time in UTC, by which conversations are put in order; raises `_UnreadableError` for what is none."""
    try:
        return datetime.fromisoformat(str(written)).astimezone(UTC).isoformat()
    except (ValueError, OverflowError):
        raise _UnreadableError(f"{str(written)[:40]!a} is no time") from None


def _turn(exported: dict[str, Any]) -> StoredTurn:
    number, parent = exported["id"], exported["parent"]
    if type(number) is not int or not (parent is None or type(parent) is int):
        raise _UnreadableError(f"{str(number)[:40]!a} after {str(parent)[:40]!a} is no number of a turn")
    text, answer = _of(str, exported, "text"), _of(str, exported, "answer")
    try:
        done = reply_from_json(text, answer, exported["receipt"]) if exported["receipt"] else None
    except ValueError as problem:
        raise _UnreadableError(f"the receipt of turn {number}: {problem}") from None
    if (state := _STATES.get(str(exported["state"]))) is None:
        raise _UnreadableError(f"turn {number} has the state {str(exported['state'])[:40]!a}, which is none")
    error, pack, created_at = (_of(str, exported, key) for key in ("error", "pack", "created_at"))
    return StoredTurn(number, parent, text, answer, state, error, done, pack, created_at)


_FOREIGN = (
    ("is an export of ChatGPT", is_chatgpt, chatgpt_conversation),
    ("is an export of Open WebUI", is_open_webui, open_webui_conversation),
)
"""What an export is, how a conversation in it is known, and its reader."""
