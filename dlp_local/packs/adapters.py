"""The adapters of a pack: added, removed, set and looked at. Nothing is accepted that does not fit the backbone."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tomlkit
from tomlkit.items import InlineTable

from dlp_local.core.errors import InputError, PackError
from dlp_local.core.names import check_adapter_name
from dlp_local.core.text import unknown_name
from dlp_local.core.values import UNCHANGED, AdapterChange
from dlp_local.formats.gguf import Header, read_header
from dlp_local.formats.lora import check_fits, left_out, problems_of_fit, read_lora, reasons
from dlp_local.packs.example_rows import check_examples_of, is_jsonl
from dlp_local.packs.manifest import MAX_SCALE, Manifest, read_manifest
from dlp_local.packs.pack import Pack
from dlp_local.packs.resolve import Conversion, resolve_adapter
from dlp_local.packs.transaction import (
    Accept,
    check_changeable,
    edited_manifest,
    store_file,
    toml_inline_table,
    toml_table,
)

if TYPE_CHECKING:
    from dlp_local.hub.download import Progress


@dataclass(frozen=True, slots=True)
class Fit:
    """What an adapter's file is: ranks, alpha, which weights in how many layers, bytes; and why it does not fit."""

    architecture: str
    ranks: tuple[int, ...]
    alpha: float
    weights: tuple[str, ...]
    layers: int
    size: int
    is_activated: bool
    """Whether it names invocation tokens (Activated LoRA)."""

    base_model: str
    license: str
    training: str
    """How it was trained, where its file says so, as `adapters train` writes it."""

    problem: str


def inspect(path: Path, backbone: Header) -> Fit:
    """Reads an adapter's file; raises `PackError` where it is none."""
    lora = read_lora(path)
    parts = [re.fullmatch(r"blk\.(\d+)\.(.+?)(?:\.weight)?", name) for name in lora.pairs]
    named, at = (lora.metadata.get(f"general.base_model.0.{key}", "") for key in ("name", "repo_url"))
    return Fit(
        architecture=lora.architecture,
        ranks=tuple(sorted({pair.b.shape[0] for pair in lora.pairs.values()})),
        alpha=lora.alpha,
        weights=tuple(sorted({part[2] if part else whole for part, whole in zip(parts, lora.pairs, strict=True)})),
        layers=len({part[1] for part in parts if part}),
        size=path.stat().st_size,
        is_activated=bool(lora.invocation_tokens),
        base_model=named or at,
        license=lora.metadata.get("general.license", ""),
        training=lora.metadata.get("general.training", ""),
        problem=reasons(problems_of_fit(lora, backbone)),
    )


def verify_pack(pack: Pack) -> list[str]:
    """Everything that is wrong with a pack, every byte of it read: hashes, and adapters that do not fit."""
    problems = pack.problems(pack.manifest.files(), recall=False)
    if problems:
        return problems
    header = read_header(pack.backbone_path)
    for adapter in pack.manifest.adapters.values():
        try:
            check_fits(read_lora(pack.path(adapter)), header)
        except PackError as error:
            problems.append(str(error))
    return problems


def add_adapter(
    folder: Path,
    source: str | Path,
    name: str,
    change: AdapterChange = UNCHANGED,
    *,
    replace: bool = False,
    keep_before: bool = False,
    progress: Progress | None = None,
    accept: Accept | None = None,
    conversion: Conversion | None = None,
) -> str:
    """Adds an adapter to a pack, with its examples: a GGUF file, a folder of PEFT's or MLX's, or `hf:…`.

    A folder is converted, one with another kind than LoRA by `conversion` first. Returns what of the adapter is left
    out, in a sentence; empty where nothing is.

    What is checked is the pack's own copy: structure, numbers, and that it fits the backbone. One that is replaced
    leaves what was said of it, and with `keep_before` it is kept for `rollback_adapter`.

    Raises `InputError` for a name that is none or taken and for values that no adapter may
    have, `PackError` for an adapter that is damaged or does not fit, and `HubError`; the pack then stays as it was.
    """
    check_adapter_name(name)
    pack = Pack(folder, read_manifest(folder))
    check_changeable(folder)
    _check_change(name, change)
    _check_free(pack.manifest, name, replace)
    backbone = pack.backbone_path
    with (
        resolve_adapter(source, backbone, progress, conversion) as resolved,
        edited_manifest(folder, accept) as document,
    ):
        _check_free(read_manifest(folder), name, replace)
        entry = store_file(folder, resolved.path, name, "gguf")
        copy = folder / entry["file"]
        try:
            lora = read_lora(copy)
            check_fits(lora, read_header(backbone))
        except PackError as error:
            raise PackError(str(error).replace(str(copy), resolved.name)) from None
        license = resolved.license or lora.metadata.get("general.license")
        stated = {"license": license, "attribution": resolved.attribution}
        entry |= {key: value for key, value in stated.items() if value} | _fields(folder, name, change)
        present = document.get("adapters", {}).get(name)
        if present is None:
            _set_entry(document, "adapters", name, entry)
        else:
            if keep_before:
                _set_entry(document, "adapters_before", name, present.unwrap())
            _forget_detector(present, change)
            present.update(entry)
    return resolved.left_out or left_out(lora.norms)


def _check_free(manifest: Manifest, name: str, replace: bool) -> None:
    if name in manifest.adapters and not replace:
        raise InputError(f"there is an adapter '{name}' in this pack already. Use another name, or add --replace.")


def set_adapter(folder: Path, name: str, change: AdapterChange, *, accept: Accept | None = None) -> None:
    """Changes what is said of an adapter.

    Raises `InputError` for one that the pack does not have and for values that none may have, `PackError` for a damaged
    one that is to be switched on, and what `accept` raises (see `edited_manifest`); the pack then stays as it was.
    """
    check_changeable(folder)
    _check_change(name, change)
    with edited_manifest(folder, accept) as document:
        entry = _entry(document, name)
        if change.enabled:
            _check_sound(folder, name)
        _forget_detector(entry, change)
        for key, value in _fields(folder, name, change).items():
            entry[key] = value
        if entry.get("enabled") is True:
            del entry["enabled"]


def _check_sound(folder: Path, name: str) -> None:
    pack = Pack(folder, read_manifest(folder))
    if problems := pack.problems(pack.manifest.adapters[name].files, backbone=False):
        raise PackError(f"{'; '.join(problems)}. Add the adapter again with --replace.")


def remove_adapter(folder: Path, name: str, *, accept: Accept | None = None) -> None:
    """Takes an adapter out of a pack, and removes its files where they were stored by a change; raises `InputError`."""
    with edited_manifest(folder, accept) as document:
        _entry(document, name)
        del document["adapters"][name]
        if before := document.get("adapters_before"):
            before.pop(name, None)
            if not before:
                del document["adapters_before"]


def rollback_adapter(folder: Path, name: str, *, accept: Accept | None = None) -> None:
    """Changes an adapter with the one that a training replaced; again, and the newer one is back.

    Raises `InputError` where there is none, `PackError` where the one before is damaged; the pack then stays as it was.
    """
    with edited_manifest(folder, accept) as document:
        now = read_manifest(folder)
        present, before = now.adapters.get(name), now.adapters_before.get(name)
        if present is None:
            raise InputError(unknown_name("adapter", name, sorted(now.adapters)))
        if before is None:
            raise InputError(
                f"there is no adapter before this '{name}'. `dlp-local adapters remove {name}` takes it out."
            )
        if problems := Pack(folder, now).problems(before.files, backbone=False, recall=False):
            raise PackError(f"{problems[0]}: '{name}' stays as it is. Train it again.")
        entry = document["adapters"][name].unwrap()
        _set_entry(document, "adapters", name, document["adapters_before"][name].unwrap())
        _set_entry(document, "adapters_before", name, entry)


def _set_entry(document: tomlkit.TOMLDocument, table: str, name: str, values: Mapping[str, Any]) -> None:
    """Writes an adapter's entry anew, in a table of tables that is made where it is not there."""
    entries = document.setdefault(table, tomlkit.table(is_super_table=True))
    fields = {key: toml_inline_table(value) if isinstance(value, dict) else value for key, value in values.items()}
    entries[name] = toml_inline_table(fields) if isinstance(entries, InlineTable) else toml_table(fields)


def _entry(document: tomlkit.TOMLDocument, name: str) -> Any:
    adapters: Mapping[str, Any] = document.get("adapters", {})
    if name not in adapters:
        raise InputError(unknown_name("adapter", name, sorted(adapters)))
    return adapters[name]


def _check_change(name: str, change: AdapterChange) -> None:
    """Raises `InputError` for a strength that no adapter may have, and for examples that cannot be used."""
    if change.scale is not None and not 0 < change.scale <= MAX_SCALE:
        raise InputError(f"scale: {change.scale:g} is none. Give a number over 0 and up to {MAX_SCALE:g}; 1 leaves it.")
    if change.examples:
        check_examples_of(name, change.examples)
        if not change.examples.is_file():
            raise InputError(f"{change.examples}: is no file that can be copied. Write the examples to one first.")


def _fields(folder: Path, name: str, change: AdapterChange) -> dict[str, Any]:
    files = "examples", "detector"
    fields: dict[str, Any] = {key: getattr(change, key) for key in AdapterChange.__slots__ if key not in files}
    fields = {key: value for key, value in fields.items() if value is not None}
    if change.examples:
        suffix = "jsonl" if is_jsonl(change.examples) else "txt"
        fields["examples_file"] = toml_inline_table(store_file(folder, change.examples, f"{name}-examples", suffix))
    if change.detector:
        fields["detector"] = toml_inline_table(store_file(folder, change.detector, f"{name}-detector", "onnx"))
    return fields


def _forget_detector(entry: Any, change: AdapterChange) -> None:
    """Takes the detector away where there are other examples, which it was not made of."""
    if change.examples:
        entry.pop("detector", None)
