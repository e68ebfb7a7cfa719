"""Large pages for what every token reads, small ones for what a user waits for (Linux)."""

import os
import platform
import re
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from dlp_local.engine import pages

STATUS = Path("/proc/self/status")


def large_pages_allowed():
    """Whether the kernel may give this process large pages."""
    return bool(int(re.search(r"THP_enabled:\s*(\d)", STATUS.read_text("utf-8"))[1]))


@pytest.fixture(autouse=True)
def _reported():
    if not STATUS.exists() or "THP_enabled" not in STATUS.read_text("utf-8"):
        pytest.skip("this kernel does not say whether a process may have large pages")


def test_small_pages_last_for_the_block_also_where_it_fails():
    before = large_pages_allowed()
    with suppress(ZeroDivisionError), pages.small_pages():
        assert not large_pages_allowed()
        raise ZeroDivisionError
    assert large_pages_allowed() == before


def test_a_process_that_was_not_to_have_large_pages_has_none_afterwards_either():
    with pages.small_pages():
        with pages.small_pages():
            pass
        assert not large_pages_allowed()


def test_the_environment_gives_a_process_large_pages_for_its_large_blocks():
    name, version = platform.libc_ver()
    if name != "glibc" or tuple(map(int, version.split("."))) < (2, 35):
        pytest.skip("only glibc from 2.35 on asks for large pages")
    if "[never]" in Path("/sys/kernel/mm/transparent_hugepage/enabled").read_text("utf-8"):
        pytest.skip("this system gives no large pages")
    code = (
        "import ctypes, re\n"
        "block = ctypes.create_string_buffer(64 << 20)\n"
        "ctypes.memset(block, 1, len(block))\n"
        "print(re.search(r'AnonHugePages:\\s*(\\d+) kB', open('/proc/self/smaps_rollup').read())[1])\n"
    )
    environment = os.environ | pages.ENVIRONMENT
    ran = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert int(ran.stdout) > 0
