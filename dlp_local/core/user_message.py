"""A user's message: what is asked for, and the texts that go along with it."""

from __future__ import annotations

import re
from dataclasses import dataclass

from dlp_local.core.text import fenced

BEGINNING = 1_000
"""Characters of an attachment that stand for a message without a request."""

_FENCE = re.compile("`{3,}")
_QUOTES = "\"'“‘«„"
QUOTED = r"""\"[^"]+"|'[^'\n]+'(?!\w)|“[^“”\n]+”|„[^“”\n]+[“”]|‘[^‘’\n]+’(?!\w)|«[^»\n]+»"""
"""A name in quotation marks, as they are typed and as macOS makes them; an apostrophe is none."""

MENTION = re.compile(rf"(?:(?<![^\s(\[{{])|(?<=[{_QUOTES}]))@(?:({QUOTED})|(\S+))")
"""A file that goes along with a message: its path in quotation marks, or without; also in brackets or quoted itself."""

PUNCTUATION = ".,;:!?)]}>\"'”’»“，。；：！？）】」』、"
"""Behind a path without quotation marks, it belongs to the sentence, unless there is such a file."""


@dataclass(frozen=True, slots=True)
class Attachment:
    """A text that goes along with a message: what is piped in, or a file, which has a name."""

    text: str
    name: str = ""

    def __str__(self) -> str:
        block = fenced(self.text)
        return f"{self.name}:\n{block}" if self.name else block


@dataclass(frozen=True, slots=True)
class UserMessage:
    """A request and its attachments; as text, the attachments are fenced blocks at the end."""

    request: str
    attachments: tuple[Attachment, ...] = ()

    def __str__(self) -> str:
        return "\n\n".join(part for part in (self.request, *map(str, self.attachments)) if part)

    @classmethod
    def parse(cls, text: str, *, files_only: bool = False) -> UserMessage:
        """The request and the fenced blocks at the end of a message, whoever wrote it so.

        `files_only` takes those alone that have a name and are written as here; any other is part of the request.
        """
        lines, attachments = text.rstrip().split("\n"), list[Attachment]()
        while (start := _block_start(lines)) is not None:
            name = _block_name(lines[:start])
            if files_only and not (name and lines[start] == lines[-1]):
                break
            attachments.insert(0, Attachment("\n".join(lines[start + 1 : -1]), name))
            lines = lines[: start - bool(name)]
            while lines and not lines[-1].strip():
                lines.pop()
        return cls("\n".join(lines), tuple(attachments)) if attachments else cls(text)

    @property
    def routed(self) -> str:
        """What decides where the message goes: the request without the names of its files; without one, what is first.

        The names are `@path` of a file that is attached.
        """
        names = {attachment.name for attachment in self.attachments}
        request = MENTION.sub(lambda mention: "" if _file_names(mention) & names else mention[0], self.request)
        if request.strip() or not self.attachments:
            return request.strip() or self.request
        return self.attachments[0].text[:BEGINNING]


def _block_start(lines: list[str]) -> int | None:
    """The line that opens the fenced block which the last line closes."""
    if not lines or not _FENCE.fullmatch(lines[-1]):
        return None
    opening = re.compile(f"{lines[-1]}[^`]*")
    return next((index for index in range(len(lines) - 2, -1, -1) if opening.fullmatch(lines[index])), None)


def _block_name(before: list[str]) -> str:
    """The name of a block, from the lines before it; empty where it has none."""
    return before[-1][:-1] if len(before) > 1 and before[-1].endswith(":") and not before[-2].strip() else ""


def mentioned_paths(mention: re.Match[str]) -> tuple[str, ...]:
    """The paths that a mention may mean, the likeliest first: as it is written, and up to some punctuation in it.

    Punctuation alone names nothing.
    """
    if mention[1]:
        return (mention[1][1:-1],)
    written: str = mention[2]
    if not written.rstrip(PUNCTUATION):
        return ()
    cuts = [at for at, character in enumerate(written) if character in PUNCTUATION and character != "."]
    shorter = (written[:at] for at in (len(written), *reversed(cuts)))
    paths = (written, *(path.rstrip(PUNCTUATION) for path in shorter))
    return tuple(path for path in dict.fromkeys(paths) if path)


def is_quoted(mention: re.Match[str]) -> bool:
    """Whether a mention stands in quotation marks itself, as names of packages do in code: `from "@angular/core"`."""
    return mention.string[: mention.start()].endswith(tuple(_QUOTES))


def _file_names(mention: re.Match[str]) -> set[str]:
    """The names that the file of a mention may have."""
    return {re.split(r"[/\\]", path)[-1] for path in mentioned_paths(mention)}
