"""`dlp-local adapters train`: rows → a trained adapter in the pack, if it is better."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

from dlp_local.cli import terminal
from dlp_local.cli.flags import JsonOption, PackOption
from dlp_local.core.errors import ExitCode, InputError
from dlp_local.core.job import Job
from dlp_local.core.settings import load_settings
from dlp_local.core.text import counted, size_text, visible
from dlp_local.core.values import Scope
from dlp_local.packs.default import pack_folder

if TYPE_CHECKING:
    from dlp_local.training.adapter.events import FitProgress, Prepared, TaskResult, Trained, TrainingRequest

PANEL = "How it is trained"


def train(
    names_and_rows: Annotated[
        list[str],
        typer.Argument(
            help='The adapter\'s name, and a file of rows {"prompt": …, "answer": …} or {"messages": […]}: JSONL, CSV, '
            "or a folder of NAME.prompt.txt and NAME.answer.txt. Several of both with --method flora or mtl.",
            metavar="NAME ROWS",
        ),
    ],
    pack: PackOption = None,
    held_out: Annotated[
        Path | None, typer.Option("--held-out", help="Rows to judge by; else a fifth of the rows is held out.")
    ] = None,
    description: Annotated[str | None, typer.Option("--description", help="What it does, in a few words.")] = None,
    system: Annotated[str | None, typer.Option("--system", help="The system prompt of rows without their own.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Put it in place even if it is not better.")] = False,
    restart: Annotated[bool, typer.Option("--restart", help="Leave what a stopped training reached.")] = False,
    finish: Annotated[
        bool,
        typer.Option("--finish", help="Train no more: judge what a stopped training reached, and put it in place."),
    ] = False,
    method: Annotated[
        str,
        typer.Option(help="lora, rslora, lora+, cola, xgb, multilora, share, ca, flora, mtl.", rich_help_panel=PANEL),
    ] = "lora",
    optimizer: Annotated[str, typer.Option(help="adamw or rite.", rich_help_panel=PANEL)] = "adamw",
    rank: Annotated[int, typer.Option(help="The rank of what is trained at once.", rich_help_panel=PANEL)] = 8,
    alpha: Annotated[
        float, typer.Option(help="The scale times the rank; 0: twice the rank.", rich_help_panel=PANEL)
    ] = 0,
    rate: Annotated[float, typer.Option(help="The highest learning rate.", rich_help_panel=PANEL)] = 2e-3,
    epochs: Annotated[
        int, typer.Option(help="How often each row is learnt from; 0: by their number.", rich_help_panel=PANEL)
    ] = 0,
    batch_tokens: Annotated[
        int, typer.Option(help="Tokens of a step; 0: by the number of rows.", rich_help_panel=PANEL)
    ] = 0,
    scope: Annotated[
        Scope,
        typer.Option(
            help="'turn': on from the last message on; 'context': for the whole prompt.", rich_help_panel=PANEL
        ),
    ] = "turn",
    links: Annotated[
        int, typer.Option(help="Links of cola, parts of multilora, B's of mtl.", rich_help_panel=PANEL)
    ] = 3,
    start: Annotated[Path | None, typer.Option(help="A GGUF adapter to begin with.", rich_help_panel=PANEL)] = None,
    teacher: Annotated[
        Path | None, typer.Option(help="ca: a less compressed GGUF of the model.", rich_help_panel=PANEL)
    ] = None,
    seed: Annotated[int, typer.Option(help="The same seed trains the same adapter.", rich_help_panel=PANEL)] = 0,
    as_json: JsonOption = False,
) -> None:
    """Train an adapter on this machine from your own examples; it takes its place only if it is better."""
    if len(names_and_rows) % 2:
        raise InputError(
            "give a name and its rows: dlp-local adapters train NAME ROWS.jsonl. Of several adapters, both of each."
        )
    rows = dict(zip(names_and_rows[::2], map(Path, names_and_rows[1::2]), strict=True))
    if len(rows) * 2 != len(names_and_rows):
        raise InputError("an adapter is named twice. Put its rows into one file.")
    settings = load_settings(pack=pack)
    from dlp_local.training.adapter.choices import Choices
    from dlp_local.training.adapter.events import Trained, TrainingRequest, event_json
    from dlp_local.training.adapter.session import train_adapters

    choices = Choices(
        method=method, optimizer=optimizer, rank=rank, alpha=alpha, rate=rate, epochs=epochs, batch_tokens=batch_tokens,
        scope=scope, seed=seed, links=links, start=start, teacher=teacher,
    )  # fmt: skip
    request = TrainingRequest(
        pack_folder(settings.pack), rows, choices, held_out, system, description, force, restart, finish
    )
    job = train_adapters(request, settings)
    last: Any = None
    with _ended_by_ctrl_c(job), _Screen(request, quiet=as_json) as screen:
        for last in job:
            if as_json:
                terminal.write_json(event_json(last))
            else:
                screen.show(last)
    if not isinstance(last, Trained):
        raise typer.Exit(ExitCode.INTERRUPTED)
    if not all(result.in_place for result in last.results.values()):
        raise typer.Exit(ExitCode.FAILURE)


@contextmanager
def _ended_by_ctrl_c(job: Job[Any]) -> Iterator[None]:
    """Ctrl+C stops the training, which keeps what it reached; a second one ends the program."""
    pressed = threading.Event()

    def end(*_: object) -> None:
        if pressed.is_set():
            raise KeyboardInterrupt
        pressed.set()
        job.cancel()

    before = signal.signal(signal.SIGINT, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


class _Screen:
    """Progress on stderr for a person, and the result on stdout."""

    def __init__(self, request: TrainingRequest, *, quiet: bool) -> None:
        self._request = request
        self._bars = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(20),
            TimeElapsedColumn(),
            TextColumn("{task.fields[note]}", markup=False),
            console=terminal.text_console(stderr=True),
            disable=quiet or not sys.stderr.isatty(),
        )
        self._tasks: dict[str, TaskID] = {}

    def __enter__(self) -> _Screen:
        self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bars.stop()

    def show(self, event: Any) -> None:
        """Draws one event."""
        match type(event).__name__:
            case "Prepared":
                self._print_plan(event)
            case "Stage":
                self._bar(event.name, event.share)
            case "FitProgress":
                self._show_fit(event)
            case "Stopped":
                self._print(f"stopped at step {event.step} of {event.of_steps}. The same command goes on from there;")
                self._print("with --finish it judges what was reached, with --restart it begins anew.")
            case "Trained":
                self._bars.stop()
                _print_result(event)

    def _bar(self, name: str, share: float, note: str = "") -> None:
        if name not in self._tasks:
            self._tasks[name] = self._bars.add_task(name, total=1.0, note=note)
        self._bars.update(self._tasks[name], completed=share, note=note)

    def _print(self, line: str) -> None:
        print(visible(line), flush=True)

    def _print_plan(self, event: Prepared) -> None:
        for name, rows in event.tasks.items():
            self._print(
                f"{name}: {counted(rows.train, 'row')} to train on, {rows.held_out} held out, {rows.tokens} tokens"
            )
            for count, what in (
                (rows.duplicates, "written twice, counted once"),
                (rows.leaked, "to train on that are held out, too, left out"),
                (rows.ambiguous, "whose message has another answer in another row"),
                (rows.too_long, "too long, left out"),
            ):
                if count:
                    self._print(f"  {counted(count, 'row')} {what}")
        chosen = event.choices.as_dict()
        self._print(", ".join(f"{key} {value}" for key, value in chosen.items() if value not in (None, "")))
        self._print(
            f"about {size_text(event.memory)} of memory, on {event.device}; how long it takes is told in a moment"
        )
        if event.resumed:
            self._print("it goes on from where it was stopped")

    def _show_fit(self, event: FitProgress) -> None:
        minutes = (
            f"{event.seconds_left / 60:.1f} min left" if event.seconds_left > 90 else f"{event.seconds_left:.0f} s left"
        )
        if "training" not in self._tasks:
            self._print(f"{counted(event.of_steps, 'step')}, about {minutes.removesuffix(' left')}")
        loss = f"loss {event.loss:.3f}, " if event.loss is not None else ""
        held_out = f"held out {event.held_out_loss:.3f} (best {event.best_loss:.3f})"
        note = f"{loss}{held_out}, {event.tokens_per_second:.0f} tokens/s, {minutes}"
        self._bar("training", event.step / max(event.of_steps, 1), note)
        if self._bars.disable and event.step and event.step * event.of_epochs % event.of_steps == 0:
            terminal.print_note(f"epoch {event.epoch} of {event.of_epochs}: {note}")


def _print_result(trained: Trained) -> None:
    for name, result in trained.results.items():
        _print_scores(name, result)
        routing = result.routing
        print(
            f"routing: {routing.own:.0%} of its held-out messages come to it; of {routing.judged} messages of others "
            f"it takes {len(routing.taken)}, of everyday messages {routing.background:.1%}"
        )
        if result.in_place:
            kept = "by --force, although " + visible(result.refused) if result.refused else "it is better"
            print(f"{name} is in place: {kept}. `dlp-local adapters rollback {name}` takes it back")
        else:
            print(f"{name} is not in place, for {visible(result.refused)}. Give more rows, or add --force.")
    print(
        f"{trained.steps} steps at {trained.tokens_per_second:.0f} tokens/s, {trained.seconds / 60:.1f} minutes in all"
    )


def _print_scores(name: str, result: TaskResult) -> None:
    table = Table(f"{name}: {next(iter(result.scores.values())).rows} held-out rows", "exactly right", "chrF", box=None)
    for column in table.columns[1:]:
        column.justify = "right"
    for policy, score in result.scores.items():
        table.add_row(policy, f"{score.exact:.0%}", f"{100 * score.chrf:.1f}")
    terminal.text_console().print(table)
