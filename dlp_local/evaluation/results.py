"""What an evaluation leaves in its folder: the answers, the report as JSON and Markdown, every outcome, pictures."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from dlp_local.core.errors import InputError
from dlp_local.core.files import make_folder, written_aside
from dlp_local.evaluation.plots import draw_plots, remove_plots
from dlp_local.evaluation.report import Report, outcome_json
from dlp_local.evaluation.runner import Outcome
from dlp_local.evaluation.tables import markdown

ANSWERS, OUTCOMES, REPORT, PAGE = "answers.jsonl", "outcomes.jsonl", "report.json", "report.md"


def open_folder(folder: Path, *, restart: bool = False) -> Path:
    """Makes the folder; returns the file in it where answers are kept, emptied for a `restart`.

    Raises `InputError` where it cannot be made or written.
    """
    answers = folder / ANSWERS
    try:
        make_folder(folder)
        if restart:
            answers.unlink(missing_ok=True)
        answers.touch()
    except OSError as error:
        raise InputError(f"--out: {folder} cannot be used ({error.strerror}). Name another folder.") from None
    return answers


def write_results(folder: Path, report: Report, outcomes: Iterable[Outcome], *, plots: bool) -> list[str]:
    """Writes all but the answers; returns the names of the files. Raises `InputError` where one cannot be written.

    Pictures of an earlier report do not stay beside it.
    """
    try:
        remove_plots(folder)
        pictures = draw_plots(report, folder) if plots else []
        _write(folder / REPORT, json.dumps(report, ensure_ascii=False, indent=1) + "\n")
        _write(folder / PAGE, markdown(report, [name for name in pictures if name.endswith(".svg")]))
        lines = (json.dumps(outcome_json(outcome), ensure_ascii=False) for outcome in outcomes)
        _write(folder / OUTCOMES, "".join(f"{line}\n" for line in lines))
    except OSError as error:
        raise InputError(f"--out: {folder} cannot be written ({error.strerror}). Name another folder.") from None
    return [REPORT, PAGE, OUTCOMES, *pictures]


def _write(path: Path, text: str) -> None:
    with written_aside(path) as part:
        part.write_text(text, "utf-8", newline="\n")
