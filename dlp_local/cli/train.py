"""`dlp-local adapters train`: rows → a trained adapter in the pack, if it is better."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dlp_local.cli import terminal
from dlp_local.cli.flags import JsonOption, PackOption
from dlp_local.cli.lessons import request_from_lessons
from dlp_local.cli.train_screen import Screen
from dlp_local.core.errors import ExitCode, InputError
from dlp_local.core.job import Job
from dlp_local.core.paths import user_path
from dlp_local.core.settings import load_settings
from dlp_local.core.values import Scope
from dlp_local.packs.default import pack_folder
from dlp_local.training.adapter.choices import METHODS, OPTIMIZERS, Choices

if TYPE_CHECKING:
    from dlp_local.training.adapter.events import TrainingRequest

PANEL = "How it is trained"
DEFAULTS = Choices()
ROWS = 'rows {"prompt": …, "answer": …} or {"messages": […]}'


def _choice(text: str, **more: Any) -> Any:
    return typer.Option(help=text, rich_help_panel=PANEL, **more)


def train(
    names_and_rows: Annotated[
        list[str],
        typer.Argument(
            help=f"The adapter's name, and its {ROWS}: a JSONL or CSV file, or a folder of X.prompt.txt and "
            "X.answer.txt. Several names and rows with --method flora or mtl.",
            metavar="NAME ROWS",
        ),
    ],
    pack: PackOption = None,
    held_out: Annotated[
        Path | None, typer.Option("--held-out", help="Rows to judge by; else a fifth of the rows is held out.")
    ] = None,
    lessons: Annotated[
        bool,
        typer.Option("--lessons", help="Learn from answers that you mended in the chat; ROWS may then be left out."),
    ] = False,
    description: Annotated[str | None, typer.Option("--description", help="What it does, in a few words.")] = None,
    system: Annotated[str | None, typer.Option("--system", help="The system prompt of rows without their own.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Put it in place even if it is not better.")] = False,
    restart: Annotated[bool, typer.Option("--restart", help="Begin anew where a training was stopped.")] = False,
    finish: Annotated[
        bool,
        typer.Option("--finish", help="Train no more: judge what a stopped training reached, and put it in place."),
    ] = False,
    as_json: JsonOption = False,
    method: Annotated[
        str, _choice(f"One of {', '.join(METHODS)}.", metavar="METHOD", autocompletion=lambda: list(METHODS.items()))
    ] = DEFAULTS.method,
    optimizer: Annotated[
        str, _choice(f"{' or '.join(OPTIMIZERS)}.", metavar="NAME", autocompletion=lambda: list(OPTIMIZERS))
    ] = DEFAULTS.optimizer,
    rank: Annotated[int, _choice("The rank of what is trained at once.")] = DEFAULTS.rank,
    alpha: Annotated[float, _choice("Strength: alpha / rank.", show_default="twice the rank")] = DEFAULTS.alpha,
    rate: Annotated[float, _choice("The highest learning rate.")] = DEFAULTS.rate,
    dropout: Annotated[
        float, _choice("The share of what A sees that is left out at random, against learning rows by heart.")
    ] = DEFAULTS.dropout,
    epochs: Annotated[
        int, _choice("How often each row is learnt from.", show_default="by the number of rows")
    ] = DEFAULTS.epochs,
    batch_tokens: Annotated[
        int, _choice("Tokens of a step.", show_default="by the number of rows")
    ] = DEFAULTS.batch_tokens,
    scope: Annotated[
        Scope, _choice("'turn': on from the last message on; 'context': for the whole prompt.")
    ] = DEFAULTS.scope,
    links: Annotated[int, _choice("Links of cola, parts of multilora, B's of mtl.")] = DEFAULTS.links,
    booster_steps: Annotated[int, _choice("xgb: steps of a booster.")] = DEFAULTS.booster_steps,
    booster_layers: Annotated[
        float, _choice("xgb: the share of the layers that a booster is in.")
    ] = DEFAULTS.booster_layers,
    start: Annotated[Path | None, _choice("A GGUF adapter to begin with.")] = DEFAULTS.start,
    teacher: Annotated[
        Path | None, _choice("ca: a less compressed GGUF of the backbone; what it does under --start is learnt, too.")
    ] = DEFAULTS.teacher,
    seed: Annotated[int, _choice("The same seed trains the same adapter.")] = DEFAULTS.seed,
) -> None:
    """Train an adapter on this machine from your own examples; it takes its place only if it is better.

    For example: dlp-local adapters train receipts rows.jsonl
    """
    settings = load_settings(pack=pack)
    choices = Choices(
        method=method, optimizer=optimizer, rank=rank, alpha=alpha, rate=rate, dropout=dropout, epochs=epochs,
        batch_tokens=batch_tokens, scope=scope, seed=seed, links=links, booster_steps=booster_steps,
        booster_layers=booster_layers, start=start, teacher=teacher,
    )  # fmt: skip
    with _asked_for(pack_folder(settings.pack), names_and_rows, choices, lessons=lessons) as asked:
        request = replace(
            asked, held_out=held_out, system=system, description=description, force=force, restart=restart,
            finish=finish,
        )  # fmt: skip
        from dlp_local.training.adapter.session import train_adapters

        last = _run(train_adapters(request, settings), Screen(pack, as_json=as_json))
    if last is None:
        raise typer.Exit(ExitCode.INTERRUPTED)
    if not all(result.in_place for result in last.values()):
        raise typer.Exit(ExitCode.FAILURE)


@contextmanager
def _asked_for(
    folder: Path, names_and_rows: Sequence[str], choices: Choices, *, lessons: bool
) -> Iterator[TrainingRequest]:
    """The request, to be used within the block."""
    from dlp_local.training.adapter.events import TrainingRequest

    if lessons:
        with request_from_lessons(folder, names_and_rows, choices) as request:
            yield request
        return
    if len(names_and_rows) % 2:
        raise InputError("give a name and its rows: dlp-local adapters train NAME rows.jsonl")
    rows = dict(zip(names_and_rows[::2], map(user_path, names_and_rows[1::2]), strict=True))
    if len(rows) * 2 != len(names_and_rows):
        raise InputError("an adapter is named twice. Put its rows into one file.")
    yield TrainingRequest(folder, rows, choices)


def _run(job: Job[Any], screen: Screen) -> Mapping[str, Any] | None:
    """Shows a training; returns what came out for each adapter, None where it was stopped."""
    from dlp_local.training.adapter.events import Trained

    last: Any = None
    with screen, terminal.stopped_by_ctrl_c(job, screen.note_stop):
        for last in job:
            screen.show(last)
    return last.results if isinstance(last, Trained) else None
