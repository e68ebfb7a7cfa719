"""Builds the peers, llama-bench and llama-server, from the source distribution of llama-cpp-python.

`python -m tools.bench.peers FOLDER` builds them there and prints the path of llama-server.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from dlp_local.engine.local.library import lays_out_weights

_TARGETS = ("llama-bench", "llama-server")
_OFF = ("LLAMA_BUILD_UI", "LLAMA_USE_PREBUILT_UI", "LLAMA_BUILD_TESTS", "LLAMA_BUILD_EXAMPLES", "LLAMA_CURL")


@dataclass(frozen=True, slots=True)
class Peers:
    """The peers' programs, and llama.cpp's own vocabulary of Qwen2."""

    bench: Path
    server: Path
    vocabulary: Path


def build(folder: Path) -> Peers:
    """Downloads, unpacks and compiles what is not there yet: some minutes on two cores. Needs cmake."""
    wanted = f"llama-cpp-python=={version('llama-cpp-python')}"
    sources = folder / f"llama_cpp_python-{version('llama-cpp-python')}"
    tree = sources / "vendor" / "llama.cpp"
    programs = tree / "build" / "bin"
    if not tree.exists():
        folder.mkdir(parents=True, exist_ok=True)
        options = ["--no-deps", "--no-binary", ":all:", "--no-build-isolation"]
        subprocess.run([sys.executable, "-m", "pip", "install", "-q", "scikit-build-core"], check=True)
        subprocess.run([sys.executable, "-m", "pip", "download", "-q", *options, "-d", str(folder), wanted], check=True)
        with tarfile.open(next(folder.glob("*.tar.gz"))) as archive:
            archive.extractall(folder, filter="data")
    if not all((programs / name).exists() for name in _TARGETS):
        settings = ["-DCMAKE_BUILD_TYPE=Release", *(f"-D{name}=OFF" for name in _OFF)]
        if not lays_out_weights():
            settings.append("-DCMAKE_CXX_FLAGS=-mno-amx-tile -mno-amx-int8 -mno-amx-bf16")
        subprocess.run(["cmake", "-S", str(tree), "-B", str(tree / "build"), *settings], check=True)
        cores = str(os.cpu_count() or 1)
        targets = ["--target", *_TARGETS]
        subprocess.run(["cmake", "--build", str(tree / "build"), "-j", cores, *targets], check=True)
    return Peers(programs / "llama-bench", programs / "llama-server", tree / "models" / "ggml-vocab-qwen2.gguf")


if __name__ == "__main__":
    print(build(Path(sys.argv[1])).server)
