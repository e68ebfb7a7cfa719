"""What the events of a training are to a client: lines that it may list, and how it ended."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import replace

from dlp_local.core.errors import DlpLocalError, EngineError, InputError, PackError
from dlp_local.core.text import about_time, counted, size_text
from dlp_local.server.training_records import Failure, Notice
from dlp_local.training.adapter.acceptance import refusal
from dlp_local.training.adapter.events import FitProgress, Prepared, Stage, TaskResult, Trained, TrainingEvent

_CODES = {InputError: "invalid_value", PackError: "pack_failed", EngineError: "engine_failed"}


def notices_of(event: TrainingEvent) -> Iterator[Notice]:
    """The lines that an event is told in."""
    match event:
        case Prepared():
            yield from _plan(event)
        case Stage(name, share) if not share:
            yield Notice("info", name)
        case FitProgress():
            yield _metrics(event)
        case Trained():
            for result in event.results.values():
                yield _scores(result)


def _plan(prepared: Prepared) -> Iterator[Notice]:
    takes = f"{about_time(prepared.seconds)}, " if prepared.seconds else ""
    for rows in prepared.tasks.values():
        yield Notice(
            "info",
            f"{counted(rows.train, 'row')} to train on, {rows.held_out} held out, {rows.tokens} tokens; {takes}about "
            f"{size_text(prepared.memory)} of memory, on {prepared.device}",
        )
        for remark in rows.remarks:
            yield Notice("warn", remark)
    if prepared.memory > prepared.free_memory:
        yield Notice("warn", f"only {size_text(prepared.free_memory)} of memory are free. Close other programs there.")
    if prepared.dropped:
        yield Notice("warn", "what an earlier training of this adapter with other rows had reached is given up")
    if prepared.resumed:
        yield Notice("info", "it goes on from where an earlier training of these rows was stopped")


def _metrics(progress: FitProgress) -> Notice:
    loss = {} if progress.loss is None else {"train_loss": progress.loss}
    told = "".join(f"training loss {value:.4f}, " for value in loss.values())
    return Notice(
        "info",
        f"step {progress.step} of {progress.of_steps}: {told}validation loss {progress.held_out_loss:.4f}",
        {
            "step": progress.step,
            "total_steps": progress.of_steps,
            "epoch": progress.epoch,
            **loss,
            "valid_loss": progress.held_out_loss,
            "tokens_per_second": progress.tokens_per_second,
        },
        "metrics",
    )


def _scores(result: TaskResult) -> Notice:
    told = (
        f"{name} {score.exact:.0%} exactly right, chrF {100 * score.chrf:.1f}" for name, score in result.scores.items()
    )
    return Notice("info", f"held-out rows: {'; '.join(told)}")


def losses_csv(progress: Sequence[FitProgress]) -> bytes:
    """The losses of a training as OpenAI's results have them: a line for each step that was told."""
    text = io.StringIO(newline="")
    lines = csv.writer(text, lineterminator="\n")
    lines.writerow(("step", "train_loss", "valid_loss"))
    for one in progress:
        lines.writerow((one.step, "" if one.loss is None else one.loss, one.held_out_loss))
    return text.getvalue().encode("utf-8")


def reason(result: TaskResult) -> str:
    """What is against an adapter, without the messages of others that it would take: these are no client's business."""
    taken = tuple((owner, "") for owner, _ in result.routing.taken)
    return refusal(result.scores, replace(result.routing, taken=taken)) if result.refused else ""


def failure_of(result: TaskResult) -> Failure | None:
    """Why an adapter that was trained is not in its place; None where it is."""
    if result.in_place:
        return None
    return Failure(
        "not_better", f"the adapter is not in place, for {reason(result)}. Give more rows, or set dlp_local.force."
    )


def failure_of_error(error: DlpLocalError) -> Failure:
    """Why a training ended with an error."""
    code = next((code for kind, code in _CODES.items() if isinstance(error, kind)), "training_failed")
    return Failure(code, str(error))
