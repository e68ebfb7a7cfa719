"""Values as they are stored in columns; what another version or a damaged file left in another shape does no harm."""

from __future__ import annotations

import json
from datetime import UTC, datetime

from pydantic import TypeAdapter, ValidationError

from dlp_local.core.chat_options import ChatOptions
from dlp_local.core.errors import InputError
from dlp_local.core.events import ReplyDone
from dlp_local.core.serialize import receipt_json, reply_from_json
from dlp_local.core.values import Message, Mix

NO_TIME = "1970-01-01T00:00:00+00:00"
_MESSAGES = TypeAdapter(tuple[Message, ...])


def now() -> str:
    """The present moment, UTC, ISO 8601."""
    return datetime.now(UTC).isoformat()


def time_from_stored(stored: str) -> str:
    """A time, or the first moment of 1970 for what is none."""
    try:
        datetime.fromisoformat(stored).astimezone()
    except (ValueError, TypeError, OverflowError):
        return NO_TIME
    return stored


def options_from_stored(stored: str) -> ChatOptions:
    """Options; where there are some that this version does not know, all are left to the settings."""
    try:
        return ChatOptions.model_validate_json(stored)
    except ValidationError:
        return ChatOptions()


def receipt_to_store(reply: ReplyDone | None) -> str | None:
    """A receipt as JSON."""
    return json.dumps(receipt_json(reply), ensure_ascii=False) if reply else None


def reply_from_stored(text: str, answer: str, receipt: str | None) -> ReplyDone | None:
    """A reply with its receipt; None where there is none that can be read."""
    try:
        return reply_from_json(text, answer, json.loads(receipt)) if receipt else None
    except (ValueError, TypeError, RecursionError):
        return None


def mix_from_stored(stored: str) -> Mix:
    """A mix; an empty one for what is none."""
    try:
        return Mix.of({str(name): float(weight) for name, weight in json.loads(stored).items()})
    except (ValueError, TypeError, AttributeError, RecursionError, InputError):
        return Mix()


def messages_to_store(messages: tuple[Message, ...]) -> str:
    """A conversation as JSON."""
    return _MESSAGES.dump_json(messages, exclude_defaults=True).decode()


def messages_from_stored(stored: str) -> tuple[Message, ...]:
    """A conversation; an empty one for what is none."""
    try:
        return _MESSAGES.validate_json(stored)
    except ValidationError:
        return ()
