"""What the program computes once of a file or a text and keeps, handed on from test to test: it costs seconds."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dlp_local.core.paths import data_folder

CACHES = ("verified", "embeddings")
"""Folders of the data folder: hashes of the packs' files, and embeddings of texts."""


@contextmanager
def kept_caches(store: Path) -> Iterator[None]:
    """Begins with the caches of `store` in the data folder, and puts there what has come to them."""
    _copy(store, data_folder())
    yield
    _copy(data_folder(), store)


def _copy(source: Path, target: Path) -> None:
    for name in CACHES:
        if (source / name).is_dir():
            shutil.copytree(source / name, target / name, dirs_exist_ok=True)
