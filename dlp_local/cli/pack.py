"""`dlp-local pack`: the packs on this machine."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from dlp_local.cli import terminal
from dlp_local.cli.flags import JsonOption, pack_names
from dlp_local.cli.pull import Bars
from dlp_local.core.errors import InputError, PackError
from dlp_local.core.files import read_text
from dlp_local.core.settings import load_settings
from dlp_local.core.text import size_text, visible
from dlp_local.packs.adapters import verify_pack
from dlp_local.packs.backbone_kind import context_notice
from dlp_local.packs.backbone_location import find_backbone, how_to_get
from dlp_local.packs.create import copy_pack, remove_pack, start_pack
from dlp_local.packs.default import pack_folder, set_default_pack
from dlp_local.packs.locations import find_pack, shipped_packs, user_packs
from dlp_local.packs.manifest import read_manifest
from dlp_local.packs.pack import Pack

app = typer.Typer(help="The packs on this machine: list, show, verify, use, create, remove.", no_args_is_help=True)

PackArgument = Annotated[
    str | None,
    typer.Argument(help="Its name or folder; else the one in use.", metavar="[PACK]", autocompletion=pack_names),
]


@app.command("list")
def list_all(as_json: JsonOption = False) -> None:
    """The packs that come with the program and your own ones; the one in use has a star."""
    used = _used()
    table = Table("", "name", "adapters", "backbone", "", box=None, pad_edge=False)
    table.columns[2].justify = table.columns[3].justify = "right"
    for folder in [*shipped_packs(), *user_packs()]:
        is_used = used is not None and os.path.realpath(folder) == os.path.realpath(used)
        try:
            pack = Pack(folder, read_manifest(folder))
        except PackError as error:
            said = {"name": folder.name, "folder": str(folder), "used": is_used, "problem": str(error)}
            row = ("*" if is_used else "", folder.name, "", "", "broken, see `dlp-local pack verify`")
        else:
            manifest, name = pack.manifest, folder.name if folder in user_packs() else pack.name
            said = {"name": name, "folder": str(folder), "used": is_used, "description": manifest.description,
                    "adapters": sorted(manifest.adapters), "backbone": pack.backbone_size}  # fmt: skip
            size = size_text(pack.backbone_size) if pack.backbone_size else "missing"
            row = ("*" if is_used else "", name, str(len(manifest.adapters)), size, visible(manifest.description))
        if as_json:
            terminal.write_json(said)
        else:
            table.add_row(*row)
    if not as_json:
        terminal.text_console().print(table)
        if used is None or used not in [*shipped_packs(), *user_packs()]:
            print(f"in use: {visible(str(used or 'a pack that is no longer there; see `dlp-local pack use`'))}")


@app.command()
def show(pack: PackArgument = None, as_json: JsonOption = False) -> None:
    """What a pack holds: its files with their sizes, licenses and attributions."""
    opened = _opened(pack)
    manifest = opened.manifest
    backbone = manifest.backbone
    files = [
        {"file": file.file, "size": opened.size(file), "sha256": file.sha256, "license": file.license,
         "attribution": file.attribution} for file in manifest.files()
    ]  # fmt: skip
    settings = {"context": backbone.context, "chat_template": opened.chat_template(), "stop": list(backbone.stop)}
    sampling = manifest.sampling.model_dump(exclude_unset=True)
    path = find_backbone(opened.folder, backbone)
    notice = context_notice(path, backbone.context) if path else how_to_get(backbone)
    if as_json:
        about = {"name": manifest.name, "folder": str(opened.folder), "description": manifest.description}
        where = {"path": str(path) if path else None, "notice": notice}
        terminal.write_json(
            about | {"adapters": sorted(manifest.adapters), "backbone": settings | where, "sampling": sampling}
            | {"files": files}
        )  # fmt: skip
        return
    print(f"{manifest.name}  {visible(manifest.description)}".rstrip())
    print(f"folder: {visible(str(opened.folder))}")
    print(f"adapters: {', '.join(sorted(manifest.adapters)) or 'none yet'}")
    if path and not backbone.packed:
        print(f"backbone: {visible(str(path))}")
    for key, value in (settings | {f"sampling.{key}": value for key, value in sampling.items()}).items():
        if value is not None and value not in ("", []):
            print(f"{key}: {visible(str(value))}")
    table = Table("file", "size", "license", "attribution", box=None, pad_edge=False)
    table.columns[1].justify = "right"
    if not backbone.packed:
        size = size_text(opened.backbone_size) if path else "missing"
        license = visible(backbone.license) or "not stated"
        table.add_row("the backbone", size, license, visible(backbone.attribution))
    for file in manifest.files():
        license = visible(file.license) or "not stated"
        table.add_row(visible(file.file), size_text(opened.size(file)), license, visible(file.attribution))
    terminal.text_console().print(table)
    if notice:
        print(visible(notice))


@app.command()
def verify(pack: PackArgument = None) -> None:
    """Read every byte of a pack: hashes, and whether each adapter fits the backbone."""
    opened = _opened(pack)
    if problems := verify_pack(opened):
        listing = "\n".join(f"  {problem}" for problem in problems)
        raise PackError(f"pack '{opened.name}': get these files again:\n{listing}")
    files = list(opened.manifest.files())
    print(f"{opened.name}: {len(files)} files, {size_text(sum(map(opened.size, files)))}, all as pack.toml says")
    if not opened.manifest.backbone.packed:
        print(f"its backbone, {visible(str(opened.backbone_path))}, too")


@app.command()
def use(pack: Annotated[str, typer.Argument(metavar="PACK", autocompletion=pack_names)]) -> None:
    """Open this pack from now on: a name, `bundled`, or a folder."""
    read_manifest(find_pack(pack))
    folder = set_default_pack(pack)
    print(f"in use from now on: {visible(str(folder))}")
    if setting := load_settings().pack:
        print(f"but DLP_LOCAL_PACK or config.toml says {visible(setting)}, which goes before")


@app.command()
def create(
    name: Annotated[str, typer.Argument(help="Lower-case letters, digits, '.', '_', '-'.", metavar="NAME")],
    source: Annotated[
        str | None,
        typer.Option("--from", help="Copy this pack.", metavar="PACK", autocompletion=pack_names),
    ] = None,
    backbone: Annotated[
        str | None,
        typer.Option(
            "--backbone", help="Start with this GGUF: a file, hf:owner/repo[:file], or a name of `pull --list`."
        ),
    ] = None,
    description: Annotated[str | None, typer.Option("--description", help="Of the pack.")] = None,
    license: Annotated[str | None, typer.Option("--license", help="Of the backbone; else what it states.")] = None,
    in_place: Annotated[
        bool, typer.Option("--in-place", help="Use the backbone's file where it is, instead of bringing it in.")
    ] = False,
    context: Annotated[int | None, typer.Option("--context", help="Tokens of context.", min=64)] = None,
    chat_template: Annotated[
        Path | None, typer.Option("--chat-template", help="A Jinja file in place of the backbone's own template.")
    ] = None,
    stop: Annotated[list[str] | None, typer.Option("--stop", help="Text that ends an answer; repeatable.")] = None,
) -> None:
    """Start a pack of your own: a copy of another one, or a backbone that adapters are added to."""
    if (source is None) == (backbone is None):
        raise InputError("give --from PACK to copy one, or --backbone FILE to start one.")
    if "" in (stop or []):
        raise InputError("--stop: an empty text ends no answer. Leave it out.")
    about: dict[str, Any] = {"description": description, "license": license, "context": context, "stop": stop}
    if chat_template:
        about["chat_template"] = read_text(chat_template)
    about = {key: value for key, value in about.items() if value}
    if source is not None:
        if about or in_place:
            raise InputError("--from copies a pack as it is. Change its pack.toml afterwards.")
        with Bars() as bars:
            folder = copy_pack(name, find_pack(source), progress=bars)
    else:
        from dlp_local.opening import backbone_notice

        settings, template = load_settings(), about.get("chat_template", "")

        def inspect(path: Path) -> None:
            if notice := backbone_notice(path, template, settings):
                terminal.print_warning(notice)

        with Bars() as bars:
            folder = start_pack(name, str(backbone), about, in_place=in_place, progress=bars, inspect=inspect)
        if notice := context_notice(Pack(folder, read_manifest(folder)).backbone_path, context):
            terminal.print_warning(notice)
    print(f"{visible(str(folder))}\nnext: dlp-local pack use {name}")


@app.command()
def remove(
    name: Annotated[str, typer.Argument(help="Of one of your own.", metavar="NAME", autocompletion=pack_names)],
    yes: Annotated[bool, typer.Option("--yes", help="Without asking.")] = False,
) -> None:
    """Delete one of your own packs, for good."""
    if not yes:
        if not sys.stdin.isatty():
            raise InputError("a pack is removed for good. Add --yes.")
        typer.confirm(f"Remove the pack {name} and all of its files for good?", abort=True)
    remove_pack(name)
    print(f"removed: the pack {name} and all of its files")


def _used() -> Path | None:
    try:
        return pack_folder(load_settings().pack)
    except PackError:
        return None


def _opened(pack: str | None) -> Pack:
    folder = find_pack(pack) if pack is not None else pack_folder(load_settings().pack)
    return Pack(folder, read_manifest(folder))
