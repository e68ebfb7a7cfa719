"""`dlp-local router`: trained on this machine, measured, and taken back."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from dlp_local.cli import terminal
from dlp_local.cli.flags import JsonOption, PackOption, stored_history
from dlp_local.core.errors import ExitCode, InputError
from dlp_local.core.settings import load_settings
from dlp_local.core.text import counted, visible
from dlp_local.packs.default import pack_folder
from dlp_local.packs.locations import bundled_pack
from dlp_local.packs.pack import open_pack

if TYPE_CHECKING:
    from dlp_local.training.router.metrics import Figures
    from dlp_local.training.router.train import Report

app = typer.Typer(
    help="The router: train it on this machine, measure it, take it back; your corrections.", no_args_is_help=True
)
SHOWN = 10
"""Confusions that are shown; --json has all."""


@app.command()
def train(
    pack: PackOption = None,
    examples: Annotated[
        list[Path] | None,
        typer.Option("--examples", help='Rows {"text": …, "adapter": …} in a .jsonl file; may be repeated.'),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", help="Train on --examples alone, for any labels, and write the router to this folder."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Put it in place even if it is worse.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Train the router anew: examples, corrections and accepted routes; in place only if it is not worse."""
    files = examples or []
    if out is not None and not files:
        raise InputError("--out trains on rows of files alone. Give them with --examples.")
    if out is not None and force:
        raise InputError("--force is about a router's place in a pack, and --out writes it elsewhere. Leave one out.")
    settings = load_settings(pack=pack)
    from dlp_local.training.router.train import train_file, train_pack

    with _Bar() as bar:
        if out is None:
            report = train_pack(pack_folder(settings.pack), files, force=force, progress=bar)
        else:
            folder = pack_folder(settings.pack) if settings.pack else bundled_pack()
            report = train_file(folder, files, out, progress=bar)
    if as_json:
        terminal.write_json(report.as_dict())
    else:
        _print(report, out)
    if not report.in_place:
        raise typer.Exit(ExitCode.FAILURE)


@app.command("eval")
def evaluate(
    file: Annotated[Path, typer.Argument(help='Rows {"text": …, "adapter": …}, one a line.', metavar="FILE.jsonl")],
    router: Annotated[
        Path | None, typer.Option("--router", help="A folder that `router train --out` wrote to.", metavar="DIR")
    ] = None,
    pack: PackOption = None,
    as_json: JsonOption = False,
) -> None:
    """Measure the routing of a pack, or a router on its own, on rows whose adapter is known."""
    settings = load_settings(pack=pack)
    from dlp_local.opening import open_router
    from dlp_local.training.router.evaluate import evaluate, evaluate_file

    opened = open_pack(pack_folder(settings.pack), only_routing=True)
    if router is None:
        figures = evaluate(opened, open_router(opened, settings), file)
    else:
        figures = evaluate_file(opened, router, file)
    if as_json:
        terminal.write_json(figures.as_dict())
    else:
        _print_figures({"": figures})
        _print_confusion(figures)


@app.command()
def rollback(pack: PackOption = None) -> None:
    """Put the router before the last training back; again, and the newer one is back, unless it was put in by force."""
    from dlp_local.packs.router import rollback_router

    has_router = rollback_router(pack_folder(load_settings(pack=pack).pack))
    print("the router before is in place again" if has_router else "there was none before: examples alone route again")


@app.command()
def corrections(as_json: JsonOption = False) -> None:
    """What you corrected in the chat: it decides where such messages go, and the next training learns it."""
    with contextlib.closing(stored_history()) as history:
        stored = history.corrections()
    if as_json:
        for one in stored:
            terminal.write_json(
                {"number": one.id, "text": one.text, "right": one.right, "pack": one.pack,
                 "created_at": one.created_at}
            )  # fmt: skip
        return
    table = Table("number", "pack", "right", "message", box=None, pad_edge=False)
    table.columns[0].justify = "right"
    for one in stored:
        said = Text(visible(" ".join(one.text.split())), no_wrap=True, overflow="ellipsis")
        table.add_row(str(one.id), visible(one.pack or "any"), one.right, said)
    terminal.text_console().print(table if stored else "Nothing was corrected yet.")


@app.command()
def forget(
    numbers: Annotated[list[int] | None, typer.Argument(metavar="NUMBER", help="Of `router corrections`.")] = None,
    every: Annotated[bool, typer.Option("--all", help="Every one.")] = False,
) -> None:
    """Take corrections back, for good."""
    if bool(numbers) == every:
        raise InputError("say which: numbers of `dlp-local router corrections`, or --all.")
    with contextlib.closing(stored_history()) as history:
        forgotten = numbers or [one.id for one in history.corrections()]
        history.forget_corrections(forgotten)
    print(f"{counted(len(forgotten), 'correction')} taken back")


class _Bar:
    """Progress on stderr, for a person."""

    def __init__(self) -> None:
        self._progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TimeElapsedColumn(),
            console=terminal.text_console(stderr=True),
            disable=not sys.stderr.isatty(),
        )
        self._tasks: dict[str, TaskID] = {}

    def __call__(self, stage: str, done: float) -> None:
        if stage not in self._tasks:
            self._tasks[stage] = self._progress.add_task(stage, total=1.0)
        self._progress.update(self._tasks[stage], completed=done)

    def __enter__(self) -> _Bar:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()


def _print(report: Report, out: Path | None) -> None:
    rehearsed = f" and {report.rehearsed} that the router remembers" if report.rehearsed else ""
    print(f"{report.rows} rows{rehearsed}, {report.held_out} held out, {len(report.labels)} labels")
    if report.left_to_prototypes:
        few = visible(", ".join(report.left_to_prototypes))
        print(f"too few rows to be trained on, so that an adapter is known by its examples alone: {few}")
    columns = {"before": report.before, "after": report.after}
    if measured := {name: figures for name, figures in columns.items() if figures}:
        _print_figures(measured)
    if report.after:
        _print_confusion(report.after)
    if out is not None:
        print(f"written to {visible(str(out / 'router.onnx'))}")
    elif report.in_place:
        print("in place; `dlp-local router rollback` takes it back")
    elif report.after is None:
        print("not in place: no row could be held out to judge it by. Give more rows, or add --force.")
    else:
        print("not in place, for it is worse on messages that it was not trained on. Give more rows, or add --force.")


def _print_figures(columns: dict[str, Figures]) -> None:
    table = Table("", *columns, box=None, pad_edge=False)
    for column in table.columns[1:]:
        column.justify = "right"
    measured = list(columns.values())
    table.add_row("rows", *(str(figures.rows) for figures in measured))
    table.add_row("accuracy", *(f"{figures.accuracy:.1%}" for figures in measured))
    table.add_row("calibration error", *(f"{figures.calibration_error:.1%}" for figures in measured))
    table.add_row("sent to base, though an adapter's", *(f"{figures.base_share:.1%}" for figures in measured))
    if any(figures.base_recall is not None for figures in measured):
        table.add_row("sent to base, and rightly", *(_percent(figures.base_recall) for figures in measured))
    if any(figures.background_share is not None for figures in measured):
        table.add_row(
            "nobody's, though sent to an adapter", *(_percent(figures.background_share) for figures in measured)
        )
    terminal.text_console().print(table)


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{share:.1%}"


def _print_confusion(figures: Figures) -> None:
    for right, chosen, rows in figures.confusion[:SHOWN]:
        print(visible(f"  {rows} of {right} went to {chosen}"))
    if len(figures.confusion) > SHOWN:
        print(f"  and {len(figures.confusion) - SHOWN} other kinds of mistake; --json has all")
