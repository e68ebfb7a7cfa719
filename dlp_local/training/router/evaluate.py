"""`router eval`: how a router does on rows whose adapters are known."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from dlp_local.core.errors import InputError
from dlp_local.core.values import BASE
from dlp_local.packs import Pack
from dlp_local.packs.example_rows import read_labelled_rows
from dlp_local.routing import MessageRouter, Router
from dlp_local.training.router.data import check_labels
from dlp_local.training.router.metrics import Figures, figures
from dlp_local.training.router.train import FILE_NAME


def evaluate(pack: Pack, router: MessageRouter, file: Path) -> Figures:
    """How a pack's routing does on the rows of a file; raises `InputError` for rows that cannot be used."""
    rows = read_labelled_rows(file)
    check_labels((label for _, label in rows), {*pack.manifest.adapters, BASE}, file)
    return _measure(router, rows)


def evaluate_file(encoder_of: Pack, folder: Path, file: Path) -> Figures:
    """How the router that `router train --out` wrote to a folder does on rows, whatever their labels.

    The encoder is that of the pack. Raises `InputError` where the folder has no router, and for rows that cannot be
    used, `PackError` for a damaged router and for one that was trained on another encoder.
    """
    path = folder / FILE_NAME if folder.is_dir() else folder
    if not path.is_file():
        raise InputError(f"--router: there is no {path}. Name the folder that `dlp-local router train --out` wrote to.")
    rows = read_labelled_rows(file)
    manifest = encoder_of.manifest
    encoder, tokenizer = encoder_of.path(manifest.encoder), encoder_of.path(manifest.encoder.tokenizer)
    labels: dict[str, tuple[str, ...]] = dict.fromkeys(Router(path, 1).labels, ())
    return _measure(MessageRouter(encoder, tokenizer, path, 1, labels), rows)


def _measure(router: MessageRouter, rows: Sequence[tuple[str, str]]) -> Figures:
    probabilities = router.probabilities(router.embeddings([text for text, _ in rows]))
    return figures(probabilities, router.labels, [label for _, label in rows])
