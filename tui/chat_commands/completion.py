"""Tab: how what is written can go on. The names of commands, their arguments, and files, also those after `@`."""

from __future__ import annotations

from tui.chat_commands import matching, parse
from tui.chat_commands.chat import Chat
from tui.completion import (
    Candidate,
    Completion,
    completed,
    last_word,
    matching_files,
    matching_words,
    mention,
    words,
)


def complete(text: str, chat: Chat) -> Completion:
    """`text`, the cursor at its end, as far as it can be told how it goes on."""
    if commands := matching(text):
        names = [Candidate(f"/{each.name}", str(each), each.help, goes_on=not each.argument) for each in commands]
        return completed(text, 0, names)
    if parsed := parse(text):
        command, begin = parsed[0], last_word(text)
        choices = command.complete(chat, words(text[len(command.name) + 1 : begin]))
        typed = text[begin:]
        return completed(text, begin, matching_files(typed) if choices is None else matching_words(typed, choices))
    if (path := mention(text)) is not None:
        return completed(text, path, matching_files(text[path:]))
    return Completion(text)
