"""A data folder of the experiments' own, so that nothing a user stored has a part in the figures."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

VARIABLE = "DLP_LOCAL_DATA"


@contextmanager
def own_data(folder: Path) -> Iterator[None]:
    """Within the block the program's data are in `folder`: no corrections of a user's, and packs are made there."""
    before = os.environ.get(VARIABLE)
    os.environ[VARIABLE] = str(folder.resolve())
    try:
        yield
    finally:
        if before is None:
            del os.environ[VARIABLE]
        else:
            os.environ[VARIABLE] = before
