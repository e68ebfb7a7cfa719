"""Linux: which of the engine's memory lies in pages of 2 MB.

What every token reads does, the backbone and its KV cache: 4 % more tokens a second (docs/benchmarks.md). What a user
waits for does not, stacks and the buffers of a change of the mix: a large page has to be cleared first, and others
moved out of its way.
"""

from __future__ import annotations

import ctypes
import sys

ENVIRONMENT = {"GLIBC_TUNABLES": "glibc.malloc.hugetlb=1"}
"""With this glibc asks for large pages for its large blocks; it reads it when a process starts."""

_PR_SET_THP_DISABLE = 41


def only_small_pages() -> None:
    """Memory that this process begins to use comes in small pages from now on; large ones that it has stay."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_THP_DISABLE, 1, 0, 0, 0)
