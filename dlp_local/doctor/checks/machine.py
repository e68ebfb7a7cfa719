"""What the machine and the installation are: Python, packages, llama.cpp, memory, disk."""

from __future__ import annotations

import platform
import shutil
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import psutil
from packaging.requirements import Requirement

import dlp_local
from dlp_local.core.errors import EngineError
from dlp_local.core.paths import data_folder
from dlp_local.core.text import size_text
from dlp_local.doctor.result import CheckResult
from dlp_local.engine.local.build_info import Build, ask_build

OLDEST_PYTHON = (3, 11)

LEAST_DISK = 100 << 20
"""Bytes that the history and what is remembered of packs should find free."""


def python() -> CheckResult:
    """The interpreter and the system."""
    version = f"{platform.python_implementation()} {platform.python_version()} on {platform.platform()}"
    oldest = ".".join(map(str, OLDEST_PYTHON))
    is_well = sys.version_info >= OLDEST_PYTHON
    return CheckResult("python", is_well, version, "" if is_well else f"Install Python {oldest} or newer.")


def packages() -> CheckResult:
    """Every package that the program needs, against the versions that it asks for."""
    versions, wrong = [f"dlp-local {dlp_local.__version__}"], []
    for requirement in _requirements():
        try:
            version = metadata.version(requirement.name)
        except metadata.PackageNotFoundError:
            wrong.append(f"{requirement.name} is not installed")
            continue
        versions.append(f"{requirement.name} {version}")
        if not requirement.specifier.contains(version, prereleases=True):
            wrong.append(f"{requirement.name} {version} is there, {requirement} is needed")
    if wrong:
        return CheckResult("packages", False, "; ".join(wrong), "Install dlp-local again, as its README says.")
    return CheckResult("packages", True, ", ".join(versions))


def _requirements() -> list[Requirement]:
    """What an installation, or else the checkout, says that the program needs on this machine."""
    try:
        lines = metadata.requires("dlp-local") or []
    except metadata.PackageNotFoundError:
        project = Path(dlp_local.__file__).parent.parent / "pyproject.toml"
        lines = tomllib.loads(project.read_text("utf-8"))["project"]["dependencies"]
    every = map(Requirement, lines)
    return [one for one in every if one.marker is None or one.marker.evaluate({"extra": ""})]


def llama_cpp() -> tuple[CheckResult, Build | None]:
    """The engine's library, loaded in a process of its own."""
    try:
        build = ask_build()
    except EngineError as error:
        return CheckResult(
            "llama.cpp",
            False,
            str(error),
            "Install it again: pip install --force-reinstall --no-cache-dir llama-cpp-python",
        ), None
    card = "a graphics card can be used" if build.has_gpu else "CPU only"
    return (
        CheckResult(
            "llama.cpp", True, f"llama-cpp-python {build.version}, {card}, {build.cores} cores; {build.features}"
        ),
        build,
    )


def memory() -> CheckResult:
    """The machine's memory; whether a pack fits it is looked at pack by pack."""
    machine = psutil.virtual_memory()
    return CheckResult("memory", True, f"{size_text(machine.available)} of {size_text(machine.total)} are free")


def disk() -> CheckResult:
    """The disk that the data folder is on, or will be."""
    folder = data_folder()
    existing = next(parent for parent in (folder, *folder.parents) if parent.exists())
    try:
        free = shutil.disk_usage(existing).free
    except OSError as error:
        return CheckResult("disk", False, f"{folder}: cannot be looked at ({error.strerror})", "Set DLP_LOCAL_DATA.")
    room = f"{size_text(free)} are free for {folder}"
    return CheckResult("disk", free >= LEAST_DISK, room, "" if free >= LEAST_DISK else "Make room on this disk.")


CHECKS = (python, packages, memory, disk)
"""In the order in which they are shown; `llama_cpp` comes after them."""
