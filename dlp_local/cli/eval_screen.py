"""What `dlp-local eval` shows: how far it is on stderr, the report on stdout."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.cells import cell_len
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from dlp_local.cli import terminal
from dlp_local.core.text import counted, visible

if TYPE_CHECKING:
    from dlp_local.evaluation.report import Report
    from dlp_local.evaluation.runner import Progress as Step
    from dlp_local.evaluation.tables import Table as ReportTable

GAP = 2
"""Between two columns, as Rich draws them."""


class Screen:
    """Draws how far an evaluation is."""

    def __init__(self) -> None:
        self._bars = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=terminal.text_console(stderr=True),
            disable=not sys.stderr.isatty(),
            transient=True,
        )
        self._tasks: dict[str, TaskID] = {}

    def __enter__(self) -> Screen:
        self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bars.stop()

    def show(self, step: Step) -> None:
        """Draws one step."""
        if step.stage not in self._tasks:
            self._tasks[step.stage] = self._bars.add_task(step.stage, total=step.of)
        self._bars.update(self._tasks[step.stage], completed=step.done, total=step.of)

    def note_stop(self) -> None:
        """Says that it was told to stop, which may take a moment."""
        if not self._bars.disable:
            self._bars.console.print("stopping, when the answers that are being computed are; Ctrl+C ends it at once")


def print_report(report: Report, folder: Path | None) -> None:
    """The report as tables, with how its numbers came about, and what could not be measured.

    Of many rows that could not be, the first are named here, and all in the `folder`.
    """
    from dlp_local.evaluation.results import PAGE
    from dlp_local.evaluation.tables import SHOWN, notes, problem_lines, tables

    console = terminal.text_console()
    for table in tables(report):
        console.print(Text(table.title, style="bold"))
        for columns in _fitting(table, console.width):
            console.print(_drawn(table, columns))
            console.print()
    for note in notes(report):
        console.print(Text(visible(note), style="dim"))
    for problem in problem_lines(report, SHOWN):
        terminal.print_error(problem)
    if (more := len(report["problems"]) - SHOWN) > 0:
        where = f"{folder / PAGE} names them all" if folder else f"--json and the {PAGE} of --out name them all"
        terminal.print_error(f"and {counted(more, 'line')} more; {where}")


def _fitting(table: ReportTable, width: int) -> list[list[int]]:
    """The columns of a table in groups that fit the width, each with the first columns, which name the rows."""
    widths = [max(map(cell_len, column)) + GAP for column in zip(table.header, *table.rows, strict=True)]
    names = list(range(table.names))
    groups = [names.copy()]
    for column in range(table.names, len(widths)):
        if len(groups[-1]) > len(names) and sum(widths[other] for other in (*groups[-1], column)) - GAP > width:
            groups.append(names.copy())
        groups[-1].append(column)
    return groups


def _drawn(table: ReportTable, columns: Sequence[int]) -> Table:
    drawn = Table(*(visible(table.header[column]) for column in columns), box=None, pad_edge=False)
    for column in drawn.columns[1:]:
        column.justify = "right"
    for row in table.rows:
        drawn.add_row(*(visible(row[column]) for column in columns))
    return drawn
