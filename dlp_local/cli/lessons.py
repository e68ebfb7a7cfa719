"""`dlp-local adapters lessons`: what was said in the chat that answers should have been; shown, written out, erased."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table
from rich.text import Text

from dlp_local.cli import terminal
from dlp_local.cli.flags import JsonOption, adapter_names, stored_history
from dlp_local.core.errors import InputError
from dlp_local.core.files import write_new
from dlp_local.core.paths import user_path
from dlp_local.core.serialize import messages_json
from dlp_local.core.text import counted, visible
from dlp_local.core.values import Lesson

if TYPE_CHECKING:
    from dlp_local.training.adapter.choices import Choices
    from dlp_local.training.adapter.events import TrainingRequest


def lessons(
    name: Annotated[
        str | None, typer.Argument(help="Those of one adapter.", metavar="NAME", autocompletion=adapter_names)
    ] = None,
    export: Annotated[
        Path | None,
        typer.Option("--export", help="Write them as rows that `adapters train` reads.", metavar="FILE.jsonl"),
    ] = None,
    forget: Annotated[
        list[int] | None, typer.Option("--forget", help="Erase one, for good; may be given again.", metavar="NUMBER")
    ] = None,
    forget_all: Annotated[bool, typer.Option("--forget-all", help="Erase all that would be shown.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Answers that you mended in the chat (F8): `adapters train NAME --lessons` learns from them."""
    if sum(map(bool, (export, forget or forget_all, as_json))) > 1 or (forget and forget_all):
        raise InputError("one thing at a time: --export, --forget, --forget-all or --json.")
    with contextlib.closing(stored_history()) as history:
        stored = history.lessons(name)
        if forget or forget_all:
            forgotten = forget or [lesson.id for lesson in stored]
            history.forget_lessons(forgotten)
            print(f"{counted(len(forgotten), 'lesson')} erased")
            return
    if export:
        _export(export, stored)
    elif as_json:
        for lesson in stored:
            said = messages_json(lesson.messages)
            terminal.write_json(
                {"number": lesson.id, "adapter": lesson.adapter, "pack": lesson.pack, "messages": said,
                 "wrong": lesson.wrong, "right": lesson.right, "created_at": lesson.created_at}
            )  # fmt: skip
    else:
        _print(stored)


@contextlib.contextmanager
def request_from_lessons(pack: Path, name_and_rows: Sequence[str], choices: Choices) -> Iterator[TrainingRequest]:
    """What `adapters train NAME [ROWS] --lessons` asks for, to be used within the block."""
    from dlp_local.training.adapter.lessons import lessons_request

    name, *own = name_and_rows
    if len(own) > 1:
        raise InputError("--lessons: is for one adapter, with a file of its own rows at most. Leave the others out.")
    with contextlib.closing(stored_history()) as history:
        stored = history.lessons(name)
    with lessons_request(pack, name, stored, choices, user_path(own[0]) if own else None) as request:
        yield request


def _export(file: Path, lessons: Sequence[Lesson]) -> None:
    from dlp_local.training.adapter.lessons import lesson_rows
    from dlp_local.training.adapter.rows import row_line

    rows = lesson_rows(lessons)
    write_new(file, "".join(map(row_line, rows)))
    print(f"{counted(len(rows), 'row')} written to {visible(str(file))}")


def _print(lessons: Sequence[Lesson]) -> None:
    table = Table("number", "adapter", "pack", "message", "right", box=None, pad_edge=False)
    table.columns[0].justify = "right"
    for lesson in lessons:
        texts = (lesson.messages[-1].content if lesson.messages else "", lesson.right)
        cells = (Text(visible(" ".join(text.split())), no_wrap=True, overflow="ellipsis") for text in texts)
        table.add_row(str(lesson.id), lesson.adapter, visible(lesson.pack), *cells)
    terminal.text_console().print(
        table if lessons else "There is no lesson yet. F8 in the chat, on an answer, makes one."
    )
