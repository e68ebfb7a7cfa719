"""From what a user names as a backbone or an adapter (a path, a PEFT folder, `hf:…`) to a GGUF file."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from dlp_local.core.errors import InputError
from dlp_local.core.files import temporary_folder
from dlp_local.core.paths import user_path
from dlp_local.core.text import did_you_mean
from dlp_local.formats.peft.convert import convert_lora
from dlp_local.formats.peft.folder import lora_folder
from dlp_local.packs.catalogue import catalogue

if TYPE_CHECKING:
    from dlp_local.hub.download import Progress


_PAGE = re.compile(
    r"(?:https?|file):/+(?:huggingface\.co/([\w.-]+)/([\w.-]+)(?:/(?:resolve|blob)/[^/]+/([^?#]+))?)?", re.IGNORECASE
)
"""An address as a browser has it: on Hugging Face, with the owner, the repository and the file."""


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A GGUF file to bring into a pack, and what is known of where it comes from."""

    path: Path
    license: str = ""
    attribution: str = ""
    left_out: str = ""
    """What of an adapter was not taken over, in a sentence; empty where all was."""


@contextlib.contextmanager
def resolve_adapter(source: str | Path, backbone: Path, progress: Progress | None = None) -> Iterator[SourceFile]:
    """The GGUF file of an adapter; a folder of PEFT's or MLX's is converted, and that file goes at the end.

    Raises what `fetch` and `convert_lora` raise, and `InputError` for what cannot be read.
    """
    named = _local_or_fetched(source, ("adapter", "peft"), progress)
    folder_of_lora = lora_folder(named.path)
    if folder_of_lora is None:
        yield _readable(named)
        return
    with temporary_folder() as folder:
        out = folder / "adapter.gguf"
        metadata = {"license": named.license} if named.license else {}
        left_out = convert_lora(folder_of_lora, backbone, out, metadata=metadata, precision="f16")
        yield SourceFile(out, named.license, named.attribution, left_out)


def resolve_backbone(source: str | Path, progress: Progress | None = None) -> SourceFile:
    """The GGUF file of a backbone, which may be a name of the catalogue, too; raises as `resolve_adapter` does."""
    entries = catalogue()
    known = entries.get(str(source))
    near = did_you_mean(str(source), entries)
    return _readable(_local_or_fetched(str(known.reference) if known else source, ("backbone",), progress), near)


def _local_or_fetched(source: str | Path, kinds: tuple[str, ...], progress: Progress | None) -> SourceFile:
    if page := _PAGE.match(str(source)):
        owner, repo, file = page.groups()
        wanted = f"hf:{owner}/{repo}{f':{file}' if file else ''}" if owner else "hf:owner/repo:file"
        raise InputError(f"{source}: is the address of a page. Name it as {wanted}, or download it and name the file.")
    if not str(source).startswith("hf:"):
        return SourceFile(user_path(source))
    from dlp_local.hub.choice import parse_reference
    from dlp_local.packs.fetch import fetch

    fetched = fetch(parse_reference(str(source)), progress=progress)
    if fetched.kind not in kinds:
        raise InputError(f"{source}: is of the kind '{fetched.kind}', and {' or '.join(kinds)} is wanted here.")
    return SourceFile(fetched.path, fetched.license, fetched.source)


def _readable(source: SourceFile, near: str = "") -> SourceFile:
    """The source unchanged; raises `InputError` where it is no file that can be read, with the name it is `near` to."""
    if source.path.exists() and not source.path.is_file():  # a pipe or a device, which may have no end
        raise InputError(f"{source.path}: is no file. Name a GGUF file.")
    try:
        with source.path.open("rb"):
            return source
    except OSError as error:
        raise InputError(f"{source.path}: cannot be read ({error.strerror}).{near} Check the path.") from None
