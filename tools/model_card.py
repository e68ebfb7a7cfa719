"""The text of a pack's MODEL_CARD.md, made from the files as they are and the figures as measured."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tools.recipes.recipe import Recipe

WAYS = ("alone", "routed", "base")
"""Ways of answering; one that was not measured yet has an empty column."""


def write(recipe: Recipe, pack: Path, figures: dict[str, Any], router_figures: Path) -> str:
    """The whole card for the files in `pack`; `figures` as `tools/pack_figures.py` gives them."""
    files = sorted(path for path in pack.iterdir() if path.name != "MODEL_CARD.md")
    total = sum(path.stat().st_size for path in files)
    before, after = recipe.card.split("<!-- figures -->\n\n")
    lines = [before.rstrip(), "", "## Figures", ""]
    lines += [
        "Valid rows, greedy, measured on these files through the product (`python -m tools.pack_figures`). `alone`:",
        "the task's adapter by hand; `routed`: as the router chose; `base`: no adapter.",
        "",
        "| rows of | metric | rows | alone | routed | base | rows for base |",
        "|---|---|---|---|---|---|---|",
    ]
    for kind, figure in figures["tasks"].items():
        lines += [
            f"| {kind} | {metric} | {figure['rows']:,} | "
            f"{' | '.join(f'{figure[way][metric]:.1f}' if way in figure else '' for way in WAYS)} | "
            f"{figure['base_rows']} |"
            for metric in figure["alone"]
        ]
    lines += ["", *_router_lines(json.loads(router_figures.read_text("utf-8"))), ""]
    lines += _everyday_lines(figures["everyday"])
    lines += ["## Files", "", "| file | size |", "|---|---|"]
    lines += [f"| {path.name} | {path.stat().st_size / 1e6:.2f} MB |" for path in files]
    lines += [f"| all | {total / 1e6:.1f} MB |", "", after]
    return "\n".join(lines)


def _router_lines(figures: dict[str, Any]) -> list[str]:
    """The router's own figures, as `tools/train_router.py` wrote them."""

    def percent(share: float) -> str:
        return f"{100 * share:.1f} %"

    def each(kinds: list[str]) -> str:
        return ", ".join(f"{kind} {percent(figures['top1'][kind])} of {figures['rows'][kind]:,}" for kind in kinds)

    of_adapters = [kind for kind in figures["top1"] if kind not in figures["kinds_of_base"]]
    return [
        f"Router: {figures['parameters']:,} parameters. Top-1 on valid rows of the adapters, mean of their "
        f"kinds: {percent(figures['top1_adapters'])} ({each(of_adapters)}). "
        f"To base: {each(figures['kinds_of_base'])} rows. "
        f"Expected calibration error {percent(figures['calibration_error_valid'])}.",
    ]


SHOWN = 200
"""Characters of an answer that the card shows."""


def _everyday_lines(answers: list[dict[str, str]]) -> list[str]:
    """A table of everyday requests: where they went, and what was answered; base's answer, too, where it is another."""
    if not answers:
        return []
    lines = ["## Everyday requests", "", "Nothing was trained on these. Greedy; long answers are cut here.", ""]
    lines += ["| request | answered by | answer |", "|---|---|---|"]
    for row in answers:
        lines.append(f"| {_cell(row['message'])} | {row['mix']} | {_cell(row['routed'])} |")
        if row["routed"] != row["base"]:
            lines.append(f"| | (base) | {_cell(row['base'])} |")
    return [*lines, ""]


def _cell(text: str) -> str:
    """A text as one cell of a table."""
    line = " ".join(text.split()).replace("|", "\\|")
    return line if len(line) <= SHOWN else f"{line[:SHOWN].rstrip()} …"
