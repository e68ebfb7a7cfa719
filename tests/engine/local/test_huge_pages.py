"""Large pages for what every token reads, small ones for what a user waits for (Linux)."""

import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

from dlp_local.engine.local import huge_pages

BLOCK = (
    "import ctypes, re\n"
    "from dlp_local.engine.local.huge_pages import only_small_pages\n"
    "def large_pages():\n"
    "    rollup = open('/proc/self/smaps_rollup').read()\n"
    "    return int(re.search(r'AnonHugePages:\\s*(\\d+) kB', rollup)[1])\n"
    "def use():\n"
    "    block = ctypes.create_string_buffer(64 << 20)\n"
    "    ctypes.memset(block, 1, len(block))\n"
    "    return block\n"
    "first = use()\n"
    "before = large_pages()\n"
    "only_small_pages()\n"
    "second = use()\n"
    "print(before, large_pages())\n"
)


def test_what_a_process_uses_first_has_large_pages_and_what_it_uses_later_small_ones():
    name, version = platform.libc_ver()
    if name != "glibc" or tuple(map(int, version.split("."))) < (2, 35):
        pytest.skip("only glibc from 2.35 on asks for large pages")
    if "[never]" in Path("/sys/kernel/mm/transparent_hugepage/enabled").read_text("utf-8"):
        pytest.skip("this system gives no large pages")
    environment = os.environ | huge_pages.ENVIRONMENT
    ran = subprocess.run([sys.executable, "-c", BLOCK], env=environment, capture_output=True, text=True, check=True)
    before, after = map(int, ran.stdout.split())
    assert 0 < before == after
