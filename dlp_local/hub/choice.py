"""Chooses the files of a repository that a reference means: pure functions; what cannot be used is not fetched.

Only GGUF, and PEFT adapters as safetensors: a pickle (`.bin`, `.pt`, `.pkl` …) runs whatever code it holds.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Literal

from dlp_local.core.errors import InputError, PackError
from dlp_local.core.files import inside_folder
from dlp_local.core.paths import MANIFEST
from dlp_local.core.text import size_text
from dlp_local.formats.file_signature import PICKLES
from dlp_local.formats.peft.file_names import (
    CONFIG,
    MLX_WEIGHTS,
    WEIGHTS,
    about_shards,
    adapters_in,
    is_shard,
    which_adapter,
)

Kind = Literal["gguf", "peft", "pack"]

PREFERENCE = (
    "Q4_K_M", "Q4_0", "Q4_K_S", "Q4_K_L", "IQ4_NL", "IQ4_XS", "Q4_1", "Q5_K_M", "Q5_K_S", "Q5_0", "Q5_1", "Q6_K",
    "Q8_0", "Q3_K_L", "Q3_K_M", "F16", "BF16", "F32",
)  # fmt: skip
"""Quantizations of a backbone, the one to take first: small enough for a laptop and close to the original."""

ADAPTER_WEIGHTS = (WEIGHTS, MLX_WEIGHTS)
"""As PEFT saves an adapter, and as MLX does."""

MAX_TEXT = 16 << 20
"""Bytes of a repository's text file: an `adapter_config.json` or a `pack.toml`."""

_REFERENCE = re.compile(
    r"hf:(?P<repo>[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95})(?:@(?P<revision>[^:@\s]+))?(?::(?P<file>.+))?"
)
_PAGE = re.compile(
    r"(?:https?|file):/+(?:huggingface\.co/([\w.-]+)/([\w.-]+)(?:/(?:resolve|blob)/[^/]+/([^?#]+))?)?", re.IGNORECASE
)
"""An address as a browser has it: on Hugging Face, with the owner, the repository and the file."""

_QUANTIZATION = re.compile(r"(?:^|[-._])((?:I?Q\d(?:_[A-Z0-9]+)*)|BF16|F16|F32)\.gguf$", re.IGNORECASE)
SHARD = re.compile(r"-(\d{5})-of-(\d{5})\.gguf$")
"""How llama.cpp's llama-gguf-split calls the parts of a model."""

_OTHER_MODELS = re.compile(r"(?:^|[-._])(?:mmproj|imatrix|vocab)(?:[-._]|$)", re.IGNORECASE)
"""GGUF files that lie beside a model and are none: image projectors, importance matrices, vocabularies."""


@dataclass(frozen=True, slots=True)
class Reference:
    """`hf:owner/repo[@revision][:file]`; `file` is a path, a folder, or the name of a quantization."""

    repo: str
    revision: str | None = None
    file: str | None = None

    def __str__(self) -> str:
        revision = f"@{self.revision}" if self.revision else ""
        return f"hf:{self.repo}{revision}{f':{self.file}' if self.file else ''}"


@dataclass(frozen=True, slots=True)
class RepoFile:
    """A file of a repository as the hub states it.

    `size` in bytes; `sha256` of its content where it is large (Git LFS), else `blob`, Git's own id of its content.
    """

    path: str
    size: int
    sha256: str = ""
    blob: str = ""

    @property
    def digest(self) -> str:
        """The hash that its content is compared with."""
        return self.sha256 or self.blob


@dataclass(frozen=True, slots=True)
class Choice:
    """The files to fetch. Of a pack this is `pack.toml` alone, which names the rest."""

    kind: Kind
    files: tuple[RepoFile, ...]


def parse_reference(text: str) -> Reference:
    """Reads `hf:owner/repo[@revision][:file]`; raises `InputError` for anything else."""
    refuse_page(text)
    match = _REFERENCE.fullmatch(text.strip())
    if not match or ".." in match["repo"] or "--" in match["repo"]:
        raise InputError(f"'{text}' is no reference. Write hf:owner/repo, hf:owner/repo:file or hf:owner/repo@commit.")
    file = match["file"]
    if file is not None:
        file = file.rstrip("/")
        try:
            inside_folder(file)
        except ValueError:
            raise InputError(f"'{text}': the file must be a path inside the repository, as sub/model.gguf.") from None
    return Reference(match["repo"], match["revision"], file)


def refuse_page(text: str) -> None:
    """Raises `InputError` for the address of a page, with the name that it has here."""
    if page := _PAGE.match(text):
        owner, repo, file = page.groups()
        wanted = f"hf:{owner}/{repo}{f':{file}' if file else ''}" if owner else "hf:owner/repo:file"
        raise InputError(f"{text}: is the address of a page. Name it as {wanted}, or download it and name the file.")


def choose(reference: Reference, files: Sequence[RepoFile]) -> Choice:
    """The files that a reference means; raises `PackError` that says why there is none, and what there is."""
    usable = [file for file in files if _is_usable_path(file.path)]
    if reference.file is None:
        return _of_folder(reference, usable, "")
    folder = reference.file + "/"
    if beneath := [file for file in usable if file.path.startswith(folder)]:
        return _of_folder(reference, beneath, folder)
    return _of_name(reference, usable, reference.file)


def _is_usable_path(path: str) -> bool:
    try:
        inside_folder(path)
    except ValueError:
        return False
    return True


def _of_folder(reference: Reference, files: Sequence[RepoFile], folder: str) -> Choice:
    by_name = {file.path.removeprefix(folder): file for file in files}
    if manifest := by_name.get(MANIFEST):
        return Choice("pack", (_small(reference, manifest),))
    weights = next((by_name[name] for name in ADAPTER_WEIGHTS if name in by_name), None)
    if CONFIG in by_name and weights:
        return Choice("peft", (_small(reference, by_name[CONFIG]), weights))
    models = [file for file in files if is_model(file.path)]
    if models:
        return Choice("gguf", (_preferred(reference, models),))
    if CONFIG not in by_name and (nested := adapters_in(by_name)):
        raise PackError(f"{reference}: {which_adapter(nested, f'{_whole(reference)}:{folder}')}")
    raise PackError(f"{reference}: {_why_nothing(by_name)}")


def _of_name(reference: Reference, files: Sequence[RepoFile], name: str) -> Choice:
    """A file by its path, or the one of a quantization by its name."""
    by_path = {file.path: file for file in files}
    file = by_path.get(name)
    path = PurePosixPath(name)
    if path.suffix.lower() in PICKLES:
        raise PackError(f"{reference}: is a pickle, which can run any code. Take a GGUF or safetensors file.")
    if file is None:
        models = [file for file in files if is_model(file.path)]
        if named := [file for file in models if _quantization(file.path) == name.upper()]:
            return Choice("gguf", (_only(reference, named),))
        raise PackError(f"{reference}: the repository has no such file. {_listing(models or files)}")
    if path.suffix.lower() == ".gguf":
        return Choice("gguf", (_only(reference, [file]),))
    if path.name in (CONFIG, *ADAPTER_WEIGHTS, MANIFEST):
        folder = "" if len(path.parts) == 1 else f"{path.parent}/"
        return _of_folder(reference, [file for file in files if file.path.startswith(folder)], folder)
    if path.suffix.lower() == ".safetensors":
        raise PackError(f"{reference}: a backbone must be GGUF. Look for a repository with -GGUF in its name.")
    raise PackError(f"{reference}: is neither a GGUF file, nor an adapter, nor a pack. {_listing(files)}")


def _preferred(reference: Reference, models: Sequence[RepoFile]) -> RepoFile:
    """The model of the first preferred quantization that there is in one file."""
    whole = [file for file in models if not SHARD.search(file.path)]
    if len(whole) < 2:
        return _only(reference, whole or models)
    for quantization in PREFERENCE:
        if quantized := [file for file in whole if _quantization(file.path) == quantization]:
            return _only(reference, quantized)
    return _only(reference, whole)


def _only(reference: Reference, models: Sequence[RepoFile]) -> RepoFile:
    if any(SHARD.search(file.path) for file in models):
        raise PackError(
            f"{reference}: the model is cut into several files, and a pack holds a backbone in one. Take a smaller "
            "quantization, or put the parts together with llama.cpp's llama-gguf-split --merge."
        )
    if len(models) > 1:
        raise PackError(f"{reference}: name one of the models. {_listing(models)}")
    return models[0]


def _small(reference: Reference, file: RepoFile) -> RepoFile:
    if file.size > MAX_TEXT:
        raise PackError(f"{reference}: {file.path} has {file.size} bytes, too many to be what it is called.")
    return file


def _quantization(path: str) -> str:
    match = _QUANTIZATION.search(path)
    return match[1].upper() if match else ""


def is_model(path: str) -> bool:
    """Whether a file is called as a GGUF model or adapter is, and not as what lies beside one."""
    return path.lower().endswith(".gguf") and not _OTHER_MODELS.search(PurePosixPath(path).stem)


def _whole(reference: Reference) -> Reference:
    """The repository of a reference, at its revision."""
    return Reference(reference.repo, reference.revision)


def _why_nothing(names: Collection[str]) -> str:
    suffixes = {PurePosixPath(name).suffix.lower() for name in names}
    if CONFIG in names and any(map(is_shard, names)):
        return about_shards(names)
    if CONFIG in names:
        return f"its adapter has no {ADAPTER_WEIGHTS[0]}, and pickles are never loaded. Ask its author for safetensors."
    if ".safetensors" in suffixes:
        return (
            "holds a model that is not GGUF. Look for a repository with -GGUF in its name, or convert it with "
            "llama.cpp's convert_hf_to_gguf.py."
        )
    if suffixes & PICKLES:
        return "holds pickles alone, which can run any code. Look for a repository with -GGUF in its name."
    return f"holds no GGUF file, no adapter and no {MANIFEST}. Check the name."


def _listing(files: Sequence[RepoFile]) -> str:
    shown = sorted(files, key=lambda file: file.path)[:40]
    lines = "\n".join(f"  {file.path}  {size_text(file.size)}" for file in shown)
    return f"There are:\n{lines}" if shown else "It is empty."
