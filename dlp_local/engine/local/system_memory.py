"""Linux: how the engine takes memory from the system, and gives it back.

Large pages of 2 MB hold what every token reads, the backbone and its KV cache: 4 % more tokens a second
(docs/benchmarks.md). What a user waits for, stacks and the buffers of a change of the mix, lies in small ones: a large
page has to be cleared first, and others moved out of its way.

A block of a megabyte and more is the system's again once it is freed. By itself glibc keeps what it was once given, in
pieces that the next stacks do not fit into: mixes that come and go then take 1.7 times what they are bounded to.
"""

from __future__ import annotations

import ctypes
import sys

RETURNED_BLOCK = 1 << 20
"""Bytes; with 64 KB stacks take as little, with 4 MB more."""

ENVIRONMENT = {"GLIBC_TUNABLES": f"glibc.malloc.hugetlb=1:glibc.malloc.mmap_threshold={RETURNED_BLOCK}"}
"""glibc reads it when a process starts."""

_PR_SET_THP_DISABLE = 41


def only_small_pages() -> None:
    """Memory that this process begins to use comes in small pages from now on; large ones that it has stay."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_THP_DISABLE, 1, 0, 0, 0)
