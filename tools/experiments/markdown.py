"""Figures as Markdown: tables, shares, milliseconds."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table whose first column is text and whose others are numbers."""
    marks = ["---", *["---:"] * (len(header) - 1)]
    lines = [header, marks, *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |" for line in lines)


def percent(share: float | None, signed: bool = False) -> str:
    """A share from 0 to 1 as percent, without the sign for it."""
    if share is None:
        return "-"
    return f"{100 * share:+.1f}" if signed else f"{100 * share:.1f}"


def interval(entry: dict[str, float]) -> str:
    """A score with its 95 % interval."""
    return f"{percent(entry['score'])} ({percent(entry['low'])}…{percent(entry['high'])})"


def section(*blocks: str) -> str:
    """Blocks with an empty line between."""
    return "\n\n".join(block for block in blocks if block)
