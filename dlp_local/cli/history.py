"""`dlp-local history`: the stored conversations."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from dlp_local.cli import terminal
from dlp_local.cli.flags import JsonOption, NumberArgument, stored_history
from dlp_local.core.files import write_new
from dlp_local.core.text import visible
from dlp_local.history import History
from dlp_local.history.export import conversation_json, export
from dlp_local.history.imports import read_conversations

app = typer.Typer(
    help="The stored conversations: list, search, show, export, import, rename, remove.", no_args_is_help=True
)
LIMIT = 50


@contextlib.contextmanager
def _history() -> Iterator[History]:
    with contextlib.closing(stored_history()) as history:
        yield history


@app.command("list")
def list_all(
    every: Annotated[bool, typer.Option("--all", help=f"Every one, not the newest {LIMIT}.")] = False,
    as_json: JsonOption = False,
) -> None:
    """The pinned conversations, then the newest."""
    with _history() as history:
        conversations = history.conversations(limit=-1 if every else LIMIT)
    if as_json:
        for info in conversations:
            terminal.write_json(
                {"number": info.id, "title": info.title, "pinned": info.pinned, "turns": info.turns,
                 "created_at": info.created_at, "changed_at": info.changed_at}
            )  # fmt: skip
        return
    table = Table("number", "title", "turns", "changed", box=None, pad_edge=False)
    table.columns[0].justify = table.columns[2].justify = "right"
    for info in conversations:
        at = datetime.fromisoformat(info.changed_at).astimezone()
        title = Text(visible(info.title) + ("  pinned" if info.pinned else ""), no_wrap=True, overflow="ellipsis")
        table.add_row(str(info.id), title, str(info.turns), f"{at:%Y-%m-%d %H:%M}")
    terminal.text_console().print(table if conversations else "Nothing is stored yet.")


@app.command()
def search(
    words: Annotated[list[str], typer.Argument(help="All of them, the last one as the beginning of a word.")],
    as_json: JsonOption = False,
) -> None:
    """Turns in which something was said."""
    with _history() as history:
        hits = history.search(" ".join(words), LIMIT)
    for hit in hits:
        if as_json:
            terminal.write_json(
                {"number": hit.conversation, "turn": hit.turn, "title": hit.title, "excerpt": hit.excerpt}
            )
            continue
        excerpt = Text("".join(c if c.isprintable() else " " for c in hit.excerpt))
        for start, end in hit.spans:
            excerpt.stylize("bold reverse", start, end)
        terminal.text_console().print(Text(f"{hit.conversation:>6}  ").append_text(excerpt), soft_wrap=True)
    if not hits and not as_json:
        print("Nothing found.")


@app.command()
def show(number: NumberArgument, as_json: JsonOption = False) -> None:
    """One conversation, as Markdown, or all of its branches as JSON."""
    with _history() as history:
        conversation = history.conversation(number)
    if as_json:
        terminal.write_json(conversation_json(conversation))
    else:
        print(visible(export(conversation, ".md")), end="")


@app.command("export")
def write(
    number: NumberArgument,
    file: Annotated[Path, typer.Argument(help="A file .md, .html or .json; it must not be there yet.")],
) -> None:
    """Write a conversation with its routing receipts to a file."""
    with _history() as history:
        text = export(history.conversation(number), file.suffix)
    write_new(file, text)
    print(f"written to {visible(str(file))}")


@app.command("import")
def read(
    files: Annotated[
        list[Path], typer.Argument(help="Files .json that were exported, also ChatGPT's conversations.json.")
    ],
) -> None:
    """Store exported conversations again, each as a new one; also those of ChatGPT and Open WebUI."""
    conversations = [conversation for file in files for conversation in read_conversations(file)]
    with _history() as history:
        for conversation in conversations:
            print(f"{history.insert(conversation)}  {visible(conversation.info.title)}")


@app.command()
def rename(number: NumberArgument, title: Annotated[str, typer.Argument(help="Empty: its first message's.")]) -> None:
    """Give a conversation a title."""
    with _history() as history:
        history.conversation(number)
        history.rename(number, title)
        print(visible(f"{number} is called '{history.conversation(number).info.title}' now"))


@app.command()
def remove(
    numbers: Annotated[list[int], typer.Argument(metavar="NUMBER…")],
    at_once: Annotated[bool, typer.Option("--now", help="For good, at once.")] = False,
) -> None:
    """Delete conversations; `history restore` brings them back for 30 days.

    What was made of them stays: `router forget` erases corrections, `adapters lessons --forget` lessons.
    """
    with _history() as history:
        numbers = list(dict.fromkeys(numbers))
        for number in numbers:
            history.conversation(number)
        for number in numbers:
            history.purge(number) if at_once else history.delete(number)
            later = "for good" if at_once else f"`dlp-local history restore {number}` brings it back for 30 days"
            print(f"removed: {number}, {later}")


@app.command()
def restore(number: NumberArgument) -> None:
    """Bring a deleted conversation back."""
    with _history() as history:
        history.restore(number)
        print(visible(f"restored: {number}  {history.conversation(number).info.title}"))
