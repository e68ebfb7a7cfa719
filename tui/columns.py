"""Texts in columns: as many cells as a column has, however wide their characters are."""

from __future__ import annotations

from rich.cells import cell_len, set_cell_size

PANEL = 90
"""Cells of a panel at most, as `app.tcss` has it."""

FRAME = 7
"""Cells of a panel that its border, its padding and the scrollbar of its list take."""


def room(screen_width: int) -> int:
    """The cells of a line in a panel's list, on a screen of that width."""
    return min(PANEL, screen_width * 98 // 100) - FRAME


def fitted(text: str, width: int) -> str:
    """`text` in exactly `width` cells: filled up, or cut with an ellipsis."""
    return set_cell_size(text if cell_len(text) <= width else f"{set_cell_size(text, width - 1)}…", width)
