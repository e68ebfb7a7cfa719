"""`router eval`: how a router does on rows whose adapters are known."""

from __future__ import annotations

from pathlib import Path

from dlp_local.core.values import BASE
from dlp_local.packs import Pack
from dlp_local.packs.example_rows import read_labelled_rows
from dlp_local.routing import MessageRouter
from dlp_local.training.router.data import check_labels
from dlp_local.training.router.metrics import Figures, figures


def evaluate(pack: Pack, router: MessageRouter, file: Path) -> Figures:
    """How a pack's routing does on the rows of a file; raises `InputError` for rows that cannot be used."""
    rows = read_labelled_rows(file)
    check_labels((label for _, label in rows), {*pack.manifest.adapters, BASE}, file)
    probabilities = router.probabilities(router.embeddings([text for text, _ in rows]))
    return figures(probabilities, router.labels, [label for _, label in rows])
