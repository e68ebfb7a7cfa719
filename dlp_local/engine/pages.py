"""Linux: which of the engine's memory lies in pages of 2 MB.

What every token reads does, the backbone and its KV cache: 4 % more tokens a second (docs/benchmarks.md). What a user
waits for does not, adapters and stacks: a large page has to be cleared first, and others moved out of its way.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Iterator
from contextlib import contextmanager

ENVIRONMENT = {"GLIBC_TUNABLES": "glibc.malloc.hugetlb=1"}
"""With this glibc asks for large pages for its large blocks; it reads it when a process starts."""

_PR_SET_THP_DISABLE, _PR_GET_THP_DISABLE = 41, 42


@contextmanager
def small_pages() -> Iterator[None]:
    """Memory that this process begins to use comes in small pages; large ones that it has stay."""
    if sys.platform != "linux":
        yield
        return
    prctl = ctypes.CDLL(None).prctl
    before = prctl(_PR_GET_THP_DISABLE, 0, 0, 0, 0)
    prctl(_PR_SET_THP_DISABLE, 1, 0, 0, 0)
    try:
        yield
    finally:
        prctl(_PR_SET_THP_DISABLE, max(before, 0), 0, 0, 0)
