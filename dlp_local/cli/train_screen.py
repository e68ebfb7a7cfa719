"""What `dlp-local adapters train` shows: the plan and the result on stdout, how far it is on stderr."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.progress import BarColumn, Progress, TaskID, TextColumn
from rich.table import Table

from dlp_local.cli import terminal
from dlp_local.cli.flags import pack_flag
from dlp_local.core.text import about_time, counted, size_text, time_text, visible

if TYPE_CHECKING:
    from dlp_local.training.adapter.events import FitProgress, Prepared, Stopped, TaskResult, Trained, TrainingEvent

BAR_WIDTH = 16


class Screen:
    """Draws the events of one training, or writes them as JSON; `pack` is what `--pack` names, if it does."""

    def __init__(self, pack: str | None, *, as_json: bool) -> None:
        self._of_pack, self._as_json = pack_flag(pack), as_json
        self._bars = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(BAR_WIDTH),
            TextColumn("{task.fields[note]}", markup=False),
            console=terminal.text_console(stderr=True),
            disable=as_json or not sys.stderr.isatty(),
            redirect_stdout=sys.stdout.isatty(),
            transient=True,
        )
        self._bar: TaskID | None = None
        self._epoch = 0

    def __enter__(self) -> Screen:
        self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bars.stop()

    def show(self, event: TrainingEvent) -> None:
        """Draws one event."""
        from dlp_local.training.adapter.events import FitProgress, Prepared, Stage, Stopped, Trained, event_json

        if self._as_json:
            terminal.write_json(event_json(event))
            return
        match event:
            case Prepared():
                self._show_plan(event)
            case Stage(name, share):
                self._move_bar(name, share)
            case FitProgress():
                self._show_fit(event)
            case Stopped():
                _print_stopped(event)
            case Trained():
                self._bars.stop()
                self._print_result(event)

    def note_stop(self) -> None:
        """Says that it was told to stop, which may take a moment."""
        if not self._bars.disable:
            self._bars.console.print("stopping, with what was reached kept; Ctrl+C once more ends it at once")

    def _move_bar(self, name: str, share: float, note: str = "") -> None:
        if self._bar is None:
            self._bar = self._bars.add_task(name, total=1.0, note=note)
        self._bars.update(self._bar, description=name, completed=share, note=note)

    def _show_plan(self, event: Prepared) -> None:
        for name, rows in event.tasks.items():
            _print(f"{name}: {counted(rows.train, 'row')} to train on, {rows.held_out} held out, {rows.tokens} tokens")
            for remark in rows.remarks:
                _print(f"  {remark}")
        _print(_choices_text(event.choices.told()))
        takes = f"{about_time(event.seconds)}, " if event.seconds else ""
        _print(f"{takes}about {size_text(event.memory)} of memory, on {event.device}")
        if event.memory > event.free_memory:
            terminal.print_warning(f"only {size_text(event.free_memory)} of memory are free. Close other programs.")
        if event.resumed:
            _print("it goes on from where it was stopped")
        if event.dropped:
            _print("what an earlier training with other rows or choices had reached is given up")

    def _show_fit(self, event: FitProgress) -> None:
        left = time_text(event.seconds_left)
        if event.loss is None:
            _print(f"{counted(event.of_steps - event.step, 'step')}, about {left}")
        loss = f"loss {event.loss:.2f}, " if event.loss is not None else ""
        best = f" (best {event.best_loss:.2f})" if event.best_loss < event.held_out_loss else ""
        note = f"{loss}held out {event.held_out_loss:.2f}{best}, {event.tokens_per_second:.0f} tokens/s, {left} left"
        self._move_bar("training", event.step / max(event.of_steps, 1), note)
        if self._bars.disable and event.epoch > self._epoch:
            print(f"epoch {event.epoch} of {event.of_epochs}: {note}", file=sys.stderr, flush=True)
        self._epoch = event.epoch

    def _print_result(self, trained: Trained) -> None:
        for name, result in trained.results.items():
            _print_scores(name, result)
            routing = result.routing
            _print(
                f"routing: {routing.own:.0%} of its held-out messages come to it; of {routing.judged} messages of "
                f"others it takes {len(routing.taken)}, of everyday messages {routing.background:.1%}"
            )
            self._print_place(name, result)
        _print(
            f"{counted(trained.steps, 'step')} at {trained.tokens_per_second:.0f} tokens/s, "
            f"{time_text(trained.seconds)} in all"
        )

    def _print_place(self, name: str, result: TaskResult) -> None:
        if not result.in_place:
            _print(
                f"{name} is not put in place: {result.refused}.\n"
                "Give more rows, or other choices. The same command with --finish --force puts it in place all the same"
            )
            return
        why = f"by --force, although {result.refused}" if result.refused else "for it is better"
        _print(f"{name} is in place, {why}")
        if result.replaced:
            _print(f"the one before is back with: dlp-local adapters rollback {name}{self._of_pack}")
        else:
            _print(f"try it: dlp-local ask{self._of_pack} 'a message'")


def training_text(metadata: str) -> str:
    """How an adapter was trained, as its file has it, in a line; nothing where it says nothing that can be read."""
    try:
        told = json.loads(metadata)
        return f"{counted(told['rows'], 'row')}, {counted(told['steps'], 'step')}, {_choices_text(told['choices'])}"
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return ""


def _choices_text(choices: dict[str, Any]) -> str:
    shown = ((key, Path(value).name if key in ("start", "teacher") else value) for key, value in choices.items())
    return ", ".join(
        f"{key.replace('_', ' ')} {f'{value:g}' if isinstance(value, float) else value}" for key, value in shown
    )


def _print(text: str) -> None:
    print(visible(text), flush=True)


def _print_stopped(event: Stopped) -> None:
    if event.of_steps:
        _print(f"stopped at step {event.step} of {event.of_steps}. The same command goes on from there;")
        _print("with --finish it judges what was reached, with --restart it begins anew")
    else:
        _print("stopped before it trained. The same command does it all, or goes on from an earlier stop")


def _print_scores(name: str, result: TaskResult) -> None:
    rows = next(iter(result.scores.values())).rows
    table = Table(f"{name}, {counted(rows, 'held-out row')}", "exactly right", "chrF", box=None, pad_edge=False)
    for column in table.columns[1:]:
        column.justify = "right"
    for policy, score in result.scores.items():
        table.add_row(policy, f"{score.exact:.0%}", f"{100 * score.chrf:.1f}")
    terminal.text_console().print(table)
