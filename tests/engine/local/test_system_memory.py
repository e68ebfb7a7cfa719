"""Large pages for what every token reads, small ones for what a user waits for; what is freed is given back (Linux)."""

import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

from dlp_local.engine.local import system_memory

BLOCK = (
    "import ctypes, re\n"
    "from dlp_local.engine.local.system_memory import only_small_pages\n"
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
    environment = os.environ | system_memory.ENVIRONMENT
    ran = subprocess.run([sys.executable, "-c", BLOCK], env=environment, capture_output=True, text=True, check=True)
    before, after = map(int, ran.stdout.split())
    assert 0 < before == after


MANY_MIXES = """
import random
import sys
from pathlib import Path

import psutil

from dlp_local.core.settings import Engine
from dlp_local.engine.local.engine import LocalEngine
from dlp_local.packs import bundled_pack, open_pack

BUDGET = 30
pack = open_pack(bundled_pack())
engine = LocalEngine(pack.backbone_path, pack.adapter_files(), Engine(context=512, adapter_memory=BUDGET))
names, draw = [file.name for file in pack.adapter_files()], random.Random(1)
before = psutil.Process().memory_info().rss
for _ in range(70):
    engine._mixer.set({name: draw.random() for name in draw.sample(names, draw.randrange(1, 5))})
print((psutil.Process().memory_info().rss - before) / (BUDGET << 20))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only glibc is told when to give memory back")
def test_mixes_that_come_and_go_take_the_memory_that_they_are_bounded_to():
    environment = os.environ | system_memory.ENVIRONMENT
    ran = subprocess.run([sys.executable, "-c", MANY_MIXES], env=environment, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    assert float(ran.stdout) < 1.4
