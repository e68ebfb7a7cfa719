"""`pack.toml`: what a pack is made of. All problems of a pack are found and reported together."""

from __future__ import annotations

import os
import stat
import tomllib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from dlp_local.core.errors import InputError, PackError
from dlp_local.core.files import inside_folder
from dlp_local.core.paths import MANIFEST
from dlp_local.core.values import BASE, AdapterFile, Scope
from dlp_local.packs.examples import read_rows
from dlp_local.packs.hash_cache import HashCache
from dlp_local.packs.locations import NAME
from dlp_local.packs.toml_lines import line_of

FORMAT = 1

MAX_MANIFEST = 16 << 20
"""Bytes of a `pack.toml`; a thousand adapters with twenty examples each take one or two millions."""

MAX_SCALE = 8.0
MAX_TEXT = 1 << 20
"""Bytes of a chat template."""


def _not_base(name: str) -> str:
    if name == BASE:
        raise ValueError(f"no adapter may be called '{BASE}'")
    return name


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class File(_Part):
    """One file of a pack; with its `size` in bytes a cut one is told without reading it."""

    file: Annotated[str, AfterValidator(inside_folder)]
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    size: int | None = Field(None, ge=0)
    license: str = ""
    attribution: str = ""


class Backbone(File):
    """The language model, and what it wants where the user's settings say nothing: see `Engine` and `Sampling` there.

    `chat_template` is Jinja in place of the one in the model's header, as text or as a file.
    """

    context: int | None = Field(None, ge=64)
    chat_template: str = ""
    chat_template_file: File | None = None
    stop: tuple[Annotated[str, Field(min_length=1)], ...] = ()

    @model_validator(mode="after")
    def _one_template(self) -> Self:
        if self.chat_template and self.chat_template_file:
            raise ValueError("give chat_template or chat_template_file, not both")
        return self


class Encoder(File):
    """The sentence encoder and its tokenizer."""

    tokenizer: File


class Adapter(File):
    """One LoRA; its examples are texts in the manifest, rows of a file, or both."""

    description: str = ""
    scale: float = Field(1.0, gt=0, le=MAX_SCALE, allow_inf_nan=False)
    scope: Scope = "turn"
    enabled: bool = True
    examples: tuple[str, ...] = ()
    examples_file: File | None = None


class Manifest(_Part):
    """The whole of `pack.toml`."""

    format: int = Field(ge=FORMAT, le=FORMAT)
    name: Annotated[str, Field(pattern=NAME)]
    description: str = ""
    greeting: str = ""
    examples: tuple[str, ...] = ()
    backbone: Backbone
    encoder: Encoder
    router: File | None = None
    router_before: File | None = None
    """The one that `router train` replaced last, for `router rollback`; no route needs it."""

    adapters: dict[Annotated[str, Field(pattern=NAME), AfterValidator(_not_base)], Adapter] = {}

    @property
    def enabled(self) -> dict[str, Adapter]:
        """The adapters that are not switched off, sorted by name."""
        return {name: adapter for name, adapter in sorted(self.adapters.items()) if adapter.enabled}

    def files(self, *, only_enabled: bool = False) -> Iterator[File]:
        """Every file that the manifest names, or those that are in use: without adapters that are switched off."""
        yield from self._routing()
        if self.router_before and not only_enabled:
            yield self.router_before
        yield self.backbone
        if self.backbone.chat_template_file:
            yield self.backbone.chat_template_file
        for adapter in (self.enabled if only_enabled else self.adapters).values():
            yield adapter
            if adapter.examples_file:
                yield adapter.examples_file

    def routing_files(self) -> Iterator[File]:
        """The files that a route alone needs."""
        yield from self._routing()
        yield from (adapter.examples_file for adapter in self.enabled.values() if adapter.examples_file)

    def _routing(self) -> Iterator[File]:
        yield from (self.encoder, self.encoder.tokenizer)
        if self.router:
            yield self.router


class Pack:
    """An opened pack: its manifest and where its files are."""

    def __init__(self, folder: Path, manifest: Manifest) -> None:
        self.folder = folder
        self.manifest = manifest

    @property
    def name(self) -> str:
        """The pack's own name."""
        return self.manifest.name

    def path(self, file: File) -> Path:
        """Where a file of the pack is."""
        return self.folder / file.file

    def size(self, file: File) -> int:
        """Bytes of a file of the pack; 0 where it is not there."""
        try:
            return self.path(file).stat().st_size
        except OSError:
            return 0

    def adapter_files(self) -> list[AdapterFile]:
        """The adapters that are not switched off, by name."""
        adapters = self.manifest.enabled.items()
        return [AdapterFile(name, self.path(adapter), adapter.scale, adapter.scope) for name, adapter in adapters]

    def examples(self, name: str) -> tuple[str, ...]:
        """The messages that an adapter of this name is for; raises `PackError` where their file cannot be used."""
        adapter = self.manifest.adapters[name]
        if adapter.examples_file is None:
            return adapter.examples
        try:
            return adapter.examples + read_rows(self.path(adapter.examples_file))
        except InputError as error:
            raise PackError(str(error)) from None

    def chat_template(self) -> str:
        """The template in place of the backbone's own, or nothing; raises `PackError` for one that is no text."""
        backbone = self.manifest.backbone
        if backbone.chat_template_file is None:
            return backbone.chat_template
        path = self.path(backbone.chat_template_file)
        try:
            with path.open("rb") as file:
                return file.read(MAX_TEXT).decode("utf-8")
        except OSError as error:
            raise PackError(f"{path}: cannot be read ({error.strerror}). Check the pack.") from None
        except UnicodeDecodeError:
            raise PackError(f"{path}: is not UTF-8. Mend the chat template.") from None

    def problems(self, files: Iterable[File], *, recall: bool = True) -> list[str]:
        """What is wrong with some files: missing, unreadable, or not the bytes that `pack.toml` promises.

        Files that were found sound before and look unchanged are not read again, unless `recall` is off.
        """
        verified = HashCache(self.folder, recall=recall)
        found = [problem for file in files if (problem := self._problem(file, verified))]
        verified.keep()
        return found

    def _problem(self, file: File, verified: HashCache) -> str:
        path = self.path(file)
        try:
            real = regular_inside(self.folder, file.file)
            if file.size is not None and (size := real.stat().st_size) != file.size:
                return f"{path}: is damaged or was changed (it has {size} bytes, and {MANIFEST} says {file.size})"
            if verified.sha256(real) != file.sha256:
                return f"{path}: is damaged or was changed (its sha256 is not the one in {MANIFEST})"
        except OSError as error:
            return f"{path}: cannot be read ({error.strerror})"
        except ValueError as error:
            return f"{path}: {error}"
        return ""


def regular_inside(folder: Path, name: str) -> Path:
    """The real place of a pack's file; raises `OSError`, and `ValueError` for a link to outside or no real file."""
    real = Path(os.path.realpath(folder / name, strict=True))
    if not real.is_relative_to(os.path.realpath(folder)):
        raise ValueError("is a link to a place outside of the pack. Put the file itself there")
    if not stat.S_ISREG(real.stat().st_mode):
        raise ValueError("is no file")
    return real


def manifest_text(folder: Path) -> str:
    """A pack's `pack.toml` as it is; raises `PackError` where it cannot be read."""
    path = folder / MANIFEST
    try:
        with regular_inside(folder, MANIFEST).open("rb") as file:
            raw = file.read(MAX_MANIFEST + 1)
        if len(raw) > MAX_MANIFEST:
            raise ValueError(f"is larger than {MAX_MANIFEST >> 20} MiB")
        return raw.decode("utf-8").replace("\r\n", "\n")
    except OSError as error:
        raise PackError(f"{path}: cannot be read ({error.strerror}). Name a pack's folder with --pack.") from None
    except UnicodeDecodeError as error:
        raise PackError(f"{path}: is not valid TOML ({error}). Mend the file.") from None
    except ValueError as error:
        raise PackError(f"{path}: {error}. Mend the pack.") from None


def parse_manifest(text: str, path: Path) -> Manifest:
    """The manifest out of its text; raises `PackError` that lists every wrong field with its line."""
    try:
        return Manifest.model_validate(tomllib.loads(text))
    except ValidationError as error:
        fields = "\n".join(_field(text, problem["loc"], problem["msg"]) for problem in error.errors())
        raise PackError(f"{path}: does not describe a pack. Mend these fields:\n{fields}") from None
    except (ValueError, RecursionError) as error:
        raise PackError(f"{path}: is not valid TOML ({error}). Mend the file.") from None


def _field(text: str, place: tuple[str | int, ...], message: str) -> str:
    field = [part for part in place if part != "[key]"]
    name = ".".join(map(str, field))
    return f"  line {line_of(text, field)}: {name}: {message.removeprefix('Value error, ')}"


def read_manifest(folder: Path) -> Manifest:
    """Reads and checks a pack's `pack.toml`, and none of its files; raises `PackError` that lists every wrong field."""
    return parse_manifest(manifest_text(folder), folder / MANIFEST)


def open_pack(folder: Path, *, only_routing: bool = False) -> Pack:
    """Reads and checks a pack, or only what routing needs; raises `PackError` that lists everything that is wrong.

    The files of adapters that are switched off are not looked at.
    """
    manifest = read_manifest(folder)
    pack = Pack(folder, manifest)
    if problems := pack.problems(manifest.routing_files() if only_routing else manifest.files(only_enabled=True)):
        listing = "\n".join(f"  {problem}" for problem in problems)
        raise PackError(f"pack '{pack.name}': get these files again, or install dlp-local anew:\n{listing}")
    return pack
