"""The slash commands: what each does, and how its beginning is completed."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Command:
    """`/name argument`: the chat's screen has an action of that name."""

    name: str
    argument: str
    help: str

    def __str__(self) -> str:
        return f"/{self.name} {self.argument}".rstrip()


COMMANDS = tuple(
    Command(*row)
    for row in (
        ("help", "", "every key and command"),
        ("new", "[persona]", "begin a new conversation"),
        ("open", "[number]", "go to another conversation"),
        ("search", "words", "search in everything that was said"),
        ("rename", "title", "give this conversation a title"),
        ("retry", "[mix]", "ask for another answer to the last message"),
        ("continue", "", "go on with an answer that was cut"),
        ("edit", "", "write the last message anew"),
        ("undo", "", "take the last turn back"),
        ("stop", "", "stop the answer, keep the part"),
        ("route", "", "how the last message was routed, and what can be done about it"),
        ("mix", "sql=0.7,…", "answer every message under this mix; /mix auto: the router chooses"),
        ("pin", "", "keep the mix of the last answer for the conversation"),
        ("veto", "adapter", "never choose this adapter here, or allow it again"),
        ("system", "text", "system prompt of this conversation"),
        ("temp", "number", "temperature of this conversation"),
        ("options", "", "everything that this conversation sets for itself"),
        ("adapters", "", "the adapters of the pack"),
        ("pack", "", "the pack and its backbone"),
        ("copy", "[code]", "copy the last answer, or its last code block"),
        ("export", "file", "write the conversation as .md, .html or .json"),
        ("save", "name", "keep this conversation's options as a persona"),
        ("stats", "", "tokens and times of this conversation"),
        ("theme", "[name]", "another theme"),
        ("quit", "", "leave"),
    )
)
BY_NAME = {command.name: command for command in COMMANDS}


def parse(text: str) -> tuple[Command, str] | None:
    """The command that a message is, with its argument; None for a message to the model.

    A slash that begins no known word is a message like any other: `/tmp is full` is one.
    """
    if not text.startswith("/"):
        return None
    name, _, argument = text[1:].partition(" ")
    command = BY_NAME.get(name.strip())
    return (command, argument.strip()) if command else None


def matching(text: str) -> list[Command]:
    """The commands that begin as `text` does, while it is but a beginning."""
    if not text.startswith("/") or " " in text or "\n" in text:
        return []
    return [command for command in COMMANDS if command.name.startswith(text[1:])]


def complete(text: str) -> str:
    """`text` with what all its commands have in common."""
    found = matching(text)
    if not found:
        return text
    names = [command.name for command in found]
    common = names[0]
    while not all(name.startswith(common) for name in names):
        common = common[:-1]
    return f"/{common}{' ' if len(found) == 1 and found[0].argument else ''}"
