"""`pack.toml`: the fields of a pack, read and checked; every wrong one is told, with its line."""

from __future__ import annotations

import os
import re
import stat
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from dlp_local.core.errors import InputError, PackError
from dlp_local.core.fields import Problem, explain
from dlp_local.core.files import inside_folder
from dlp_local.core.names import NAME_PATTERN, NAME_RULE
from dlp_local.core.paths import MANIFEST
from dlp_local.core.settings import Sampling
from dlp_local.core.values import BASE, Scope
from dlp_local.hub.choice import parse_reference
from dlp_local.packs.toml_lines import line_of

FORMAT = 1

MAX_MANIFEST = 16 << 20
"""Bytes of a `pack.toml`; a thousand adapters with twenty examples each take one or two millions."""

MAX_SCALE = 8.0


def _absolute(value: str) -> str:
    if not Path(value).is_absolute():
        raise ValueError("must be an absolute path")
    return value


def _reference(value: str) -> str:
    try:
        return str(parse_reference(value)) if value else ""
    except InputError as error:
        raise ValueError(str(error)) from None


def _format(value: int) -> int:
    if value > FORMAT:
        raise ValueError(f"{value} is of a newer dlp-local, and this one reads {FORMAT}. Install the newer one")
    if value < FORMAT:
        raise ValueError(f"there is no format {value}. Write {FORMAT}")
    return value


def _without_stop(sampling: Sampling) -> Sampling:
    if "stop" in sampling.model_fields_set:
        raise ValueError("stop has its place in [backbone]. Write it there")
    return sampling


def _name(value: str) -> str:
    if not re.fullmatch(NAME_PATTERN, value):
        raise ValueError(f"is no name. Use {NAME_RULE}")
    return value


def _adapter_name(value: str) -> str:
    if value == BASE:
        raise ValueError(f"no adapter may be called '{BASE}'")
    return _name(value)


def _sha256(value: str) -> str:
    if not re.fullmatch("[0-9a-f]{64}", value):
        raise ValueError("must be 64 hexadecimal digits in lower case, as sha256sum prints them")
    return value


def _distribution(value: str) -> str:
    if not re.fullmatch("[A-Za-z0-9][A-Za-z0-9.!+_-]*", value):
        raise ValueError("must be as pip knows it: letters, digits, '.', '_' and '-'")
    return value


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Content(_Part):
    """What a file must hold, and whose it is; with its `size` in bytes a cut one is told without reading it."""

    sha256: Annotated[str, AfterValidator(_sha256)]
    size: int | None = Field(None, ge=0)
    license: str = ""
    attribution: str = ""


class File(Content):
    """One file inside the pack's folder."""

    file: Annotated[str, AfterValidator(inside_folder)]


class DistributionFile(_Part):
    """A file that an installed Python distribution brings, and the version of it that has the right bytes."""

    name: Annotated[str, AfterValidator(_distribution)]
    version: Annotated[str, AfterValidator(_distribution)]
    file: Annotated[str, AfterValidator(inside_folder)]


class Backbone(Content):
    """The language model, and what it wants where the user's settings say nothing: see `Engine` and `Sampling` there.

    It is one file: `file` inside the pack, `path` of the user's own, used in place, or one that comes with an installed
    `distribution` or else is the same file on the `hub` (`hf:…`), from where `dlp-local pull` gets it.
    `chat_template` is Jinja in place of the one in the model's header, as text or as a file.
    """

    file: Annotated[str, AfterValidator(inside_folder)] = ""
    path: Annotated[str, AfterValidator(_absolute)] = ""
    distribution: DistributionFile | None = None
    hub: Annotated[str, AfterValidator(_reference)] = ""
    context: int | None = Field(None, ge=64)
    chat_template: str = ""
    chat_template_file: File | None = None
    stop: tuple[Annotated[str, Field(min_length=1)], ...] = ()

    @model_validator(mode="after")
    def _one_template(self) -> Self:
        if self.chat_template and self.chat_template_file:
            raise ValueError("give chat_template or chat_template_file, not both")
        if self.chat_template and "{" not in self.chat_template:
            raise ValueError("chat_template must be Jinja, and has no brace. Name a file by chat_template_file")
        return self

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if sum(map(bool, (self.file, self.path, self.distribution or self.hub))) != 1:
            raise ValueError("give one of file, path, and distribution or hub")
        return self

    @property
    def packed(self) -> File | None:
        """The backbone as a file of the pack; None where it is somewhere else."""
        about = {"sha256": self.sha256, "size": self.size, "license": self.license, "attribution": self.attribution}
        return File.model_validate({"file": self.file} | about) if self.file else None


class EncoderFile(File):
    """A file of the encoder; with `bundled` it is the bundled pack's, which every installation has, and not copied."""

    bundled: bool = False


class Encoder(EncoderFile):
    """The sentence encoder and its tokenizer."""

    tokenizer: EncoderFile


class RouterFile(File):
    """A router; `forced` where it was put in place by force, and not because it was found as good as the one before.

    `first` where there was none before it, and examples alone routed.
    """

    forced: bool = False
    first: bool = False


class Adapter(File):
    """One LoRA; its examples are texts in the manifest, rows of a file, or both.

    With a `detector` its messages are told from others by that, where the pack's router was not trained on it.
    """

    description: str = ""
    scale: float = Field(1.0, gt=0, le=MAX_SCALE, allow_inf_nan=False)
    scope: Scope = "turn"
    enabled: bool = True
    examples: tuple[str, ...] = ()
    examples_file: File | None = None
    detector: File | None = None

    @property
    def files(self) -> tuple[File, ...]:
        """Its own file, and those that it is routed by."""
        return (self, *self.routing_files)

    @property
    def routing_files(self) -> tuple[File, ...]:
        """The file of its examples and its detector, where it has them."""
        return tuple(filter(None, (self.examples_file, self.detector)))


class Manifest(_Part):
    """The whole of `pack.toml`."""

    format: Annotated[int, AfterValidator(_format)]
    name: Annotated[str, AfterValidator(_name)]
    description: str = ""
    greeting: str = ""
    examples: tuple[str, ...] = ()
    backbone: Backbone
    encoder: Encoder
    router: RouterFile | None = None
    router_before: RouterFile | None = None
    """The one that `router train` replaced last, for `router rollback`; no route needs it. None that was forced."""

    sampling: Annotated[Sampling, AfterValidator(_without_stop)] = Sampling()
    """What is set here counts where the user has set nothing."""

    adapters: dict[Annotated[str, AfterValidator(_adapter_name)], Adapter] = {}
    adapters_before: dict[Annotated[str, AfterValidator(_adapter_name)], Adapter] = {}
    """Those that `adapters train` replaced last, for `adapters rollback`; no answer needs them."""

    @property
    def enabled(self) -> dict[str, Adapter]:
        """The adapters that are not switched off, sorted by name."""
        return {name: adapter for name, adapter in sorted(self.adapters.items()) if adapter.enabled}

    def files(self, *, only_enabled: bool = False) -> Iterator[File]:
        """Every file that the manifest names, a backbone elsewhere apart; or those in use: no adapters switched off."""
        yield from self._routing()
        if self.router_before and not only_enabled:
            yield self.router_before
        if self.backbone.packed:
            yield self.backbone.packed
        if self.backbone.chat_template_file:
            yield self.backbone.chat_template_file
        adapters = self.enabled.values() if only_enabled else (*self.adapters.values(), *self.adapters_before.values())
        for adapter in adapters:
            yield from adapter.files

    def routing_files(self) -> Iterator[File]:
        """The files that a route alone needs."""
        yield from self._routing()
        for adapter in self.enabled.values():
            yield from adapter.routing_files

    def _routing(self) -> Iterator[File]:
        yield from (self.encoder, self.encoder.tokenizer)
        if self.router:
            yield self.router


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
        return raw.decode("utf-8-sig").replace("\r\n", "\n")
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
        fields = "\n".join(_field(text, problem) for problem in explain(error, Manifest))
        raise PackError(f"{path}: does not describe a pack. Mend these fields:\n{fields}") from None
    except (ValueError, RecursionError) as error:
        raise PackError(f"{path}: is not valid TOML ({error}). Mend the file.") from None


def _field(text: str, problem: Problem) -> str:
    return ": ".join(filter(None, (f"  line {line_of(text, problem.path)}", ".".join(problem.path), problem.reason)))


def read_manifest(folder: Path) -> Manifest:
    """Reads and checks a pack's `pack.toml`, and none of its files; raises `PackError` that lists every wrong field."""
    return parse_manifest(manifest_text(folder), folder / MANIFEST)
