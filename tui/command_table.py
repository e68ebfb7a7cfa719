"""The slash commands: what each is called, takes and does; `tui.chat_commands` does it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Command:
    """`/name argument`; a name may have two words."""

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
        ("adapters", "", "the adapters of the pack: to add, switch off and remove"),
        ("adapters add", "file name [examples]", "bring in a GGUF file or a PEFT folder"),
        ("adapters enable", "adapter", "let messages go to it again"),
        ("adapters disable", "adapter", "neither load it nor send messages to it"),
        ("adapters remove", "adapter", "take it out of the pack, with its files"),
        ("pack", "", "the pack and its backbone"),
        ("copy", "[code]", "copy the last answer, or its last code block"),
        ("export", "file", "write the conversation as .md, .html or .json"),
        ("import", "file", "store a conversation again that was exported as .json"),
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
    first, _, rest = text[1:].partition(" ")
    second, _, argument = rest.strip().partition(" ")
    if command := BY_NAME.get(f"{first} {second}"):
        return command, argument.strip()
    command = BY_NAME.get(first.strip())
    return (command, rest.strip()) if command else None


def matching(text: str) -> list[Command]:
    """The commands that begin as `text` does, while it is but a beginning."""
    if not text.startswith("/"):
        return []
    return [command for command in COMMANDS if command.name.startswith(text[1:])]
