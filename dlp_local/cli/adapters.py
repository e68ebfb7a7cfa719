"""`dlp-local adapters`: the adapters of a pack."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from dlp_local.cli import terminal
from dlp_local.cli.flags import JsonOption, PackOption, adapter_names, pack_flag
from dlp_local.cli.lessons import lessons
from dlp_local.cli.pull import Bars
from dlp_local.cli.train import train
from dlp_local.cli.train_screen import training_text
from dlp_local.core.errors import InputError
from dlp_local.core.settings import load_settings
from dlp_local.core.text import size_text, unknown_name, visible
from dlp_local.core.values import UNCHANGED, AdapterChange, Scope
from dlp_local.formats.gguf import read_header
from dlp_local.packs.adapters import Fit, add_adapter, inspect, remove_adapter, rollback_adapter, set_adapter
from dlp_local.packs.default import pack_folder
from dlp_local.packs.manifest import Adapter, read_manifest
from dlp_local.packs.pack import Pack
from dlp_local.training.adapter.torch_extra import require_torch

if TYPE_CHECKING:
    from dlp_local.training.adapter.as_lora import AsLora

app = typer.Typer(
    help="The adapters of a pack: train, lessons, add, list, show, remove, enable, disable, set, rollback.",
    no_args_is_help=True,
)
app.command("train")(train)
app.command("lessons")(lessons)

NameArgument = Annotated[str, typer.Argument(help="The adapter's name.", metavar="NAME", autocompletion=adapter_names)]
DescriptionOption = Annotated[str | None, typer.Option("--description", help="What it does, in a few words.")]
ExamplesOption = Annotated[
    Path | None,
    typer.Option("--examples", help='Messages that it is for, one a line, or .jsonl rows {"text": …}; copied.'),
]
ScaleOption = Annotated[float | None, typer.Option("--scale", help="Strength beside its own; 1 leaves it.")]
ScopeOption = Annotated[
    Scope | None,
    typer.Option("--scope", help="'turn': from the last message on; 'context': over the history, too."),
]
LicenseOption = Annotated[str | None, typer.Option("--license", help="Else what its file states.")]
AttributionOption = Annotated[str | None, typer.Option("--attribution", help="Whose work it is.")]


@app.command()
def add(
    source: Annotated[str, typer.Argument(help="A GGUF file, a folder of PEFT's or MLX's, or hf:owner/repo[:file].")],
    name: Annotated[str, typer.Option("--name", help="What it is called in mixes.")],
    examples: ExamplesOption = None,
    description: DescriptionOption = None,
    scale: ScaleOption = None,
    scope: ScopeOption = None,
    license: LicenseOption = None,
    attribution: AttributionOption = None,
    replace: Annotated[bool, typer.Option("--replace", help="In place of the one of that name.")] = False,
    as_lora: Annotated[
        str | None,
        typer.Option(
            "--as-lora",
            help="Makes a LoRA of another of PEFT's kinds (LoHa, LoKr, VeRA …): of this rank, or of those that keep "
            "such a share of it as 99%. Needs the train extra.",
            metavar="RANK",
        ),
    ] = None,
    pack: PackOption = None,
) -> None:
    """Copy an adapter into the pack, once it is known to fit its backbone."""
    change = AdapterChange(
        description=description, scale=scale, scope=scope, license=license, attribution=attribution, examples=examples
    )
    folder = _folder(pack)
    conversion = _conversion(as_lora)
    if conversion and sys.stderr.isatty():
        print("making a LoRA of it, which may take a minute", file=sys.stderr)
    with Bars() as bars:
        left_out = add_adapter(folder, source, name, change, replace=replace, progress=bars, conversion=conversion)
    if conversion:
        print(conversion.kept_text)
    if left_out:
        print(visible(left_out))
    try_it = f"dlp-local ask{pack_flag(pack)} --mix {name} 'a message'"
    print(f"{name} is in {visible(str(folder))}. Try it: {try_it}")


@app.command("list")
def list_all(pack: PackOption = None, as_json: JsonOption = False) -> None:
    """All of them, also those that are switched off."""
    opened = _opened(pack)
    adapters = sorted(opened.manifest.adapters.items())
    if as_json:
        for name, adapter in adapters:
            terminal.write_json({"name": name} | _manifest_json(opened, name, adapter))
        return
    table = Table("name", "scale", "scope", "examples", "", box=None, pad_edge=False)
    table.columns[1].justify = table.columns[3].justify = "right"
    for name, adapter in adapters:
        examples = len(opened.examples(name))
        off = "" if adapter.enabled else "off  "
        table.add_row(name, f"{adapter.scale:g}", adapter.scope, str(examples), visible(off + adapter.description))
    terminal.text_console().print(
        table if adapters else "There is none yet. `dlp-local adapters add PATH --name NAME` adds one."
    )


@app.command()
def show(name: NameArgument, pack: PackOption = None, as_json: JsonOption = False) -> None:
    """What an adapter is: rank, alpha, weights, size, license, and whether it fits the backbone."""
    opened = _opened(pack)
    adapter = opened.manifest.adapters.get(name)
    if adapter is None:
        raise InputError(unknown_name("adapter", name, opened.manifest.adapters))
    backbone = opened.backbone_path
    fit = inspect(opened.path(adapter), read_header(backbone))
    if as_json:
        terminal.write_json({"name": name} | _manifest_json(opened, name, adapter) | _file_json(fit))
        return
    lines = {
        "description": adapter.description,
        "file": str(opened.path(adapter)),
        "size": size_text(fit.size),
        "rank": ", ".join(map(str, fit.ranks)),
        "alpha": f"{fit.alpha:g}",
        "weights": f"{', '.join(fit.weights)}, in {fit.layers} layers",
        "trained": training_text(fit.training),
        "from": "its invocation tokens on (Activated LoRA)" if fit.is_activated else "",
        "scale": f"{adapter.scale:g}",
        "scope": adapter.scope,
        "enabled": "yes" if adapter.enabled else "no",
        "license": adapter.license or fit.license or "none is stated",
        "attribution": adapter.attribution,
        "base model": fit.base_model,
        "fits": f"no: {fit.problem}" if fit.problem else f"{backbone.name} ({fit.architecture})",
        "examples": f"{len(opened.examples(name))}{', and a detector' if adapter.detector else ''}",
    }
    for key, value in lines.items():
        if value:
            print(f"{key:<12} {visible(value)}")


@app.command()
def remove(name: NameArgument, pack: PackOption = None) -> None:
    """Take an adapter out of the pack, with its files."""
    folder = _folder(pack)
    remove_adapter(folder, name)
    print(f"{name} is no longer in {visible(str(folder))}")


@app.command()
def rollback(name: NameArgument, pack: PackOption = None) -> None:
    """Put the adapter before the last training back; again, and the newer one is back."""
    rollback_adapter(_folder(pack), name)
    print(f"the {name} before is in place again; the same command brings the newer one back")


@app.command()
def enable(name: NameArgument, pack: PackOption = None) -> None:
    """Let messages go to an adapter again."""
    set_adapter(_folder(pack), name, AdapterChange(enabled=True))
    print(f"messages may go to {name} again")


@app.command()
def disable(name: NameArgument, pack: PackOption = None) -> None:
    """Neither load an adapter nor send messages to it; it stays in the pack."""
    set_adapter(_folder(pack), name, AdapterChange(enabled=False))
    print(f"no message goes to {name} from now on; it stays in the pack")


@app.command("set")
def set_values(
    name: NameArgument,
    scale: ScaleOption = None,
    description: DescriptionOption = None,
    scope: ScopeOption = None,
    examples: ExamplesOption = None,
    license: LicenseOption = None,
    attribution: AttributionOption = None,
    pack: PackOption = None,
) -> None:
    """Change what the pack says of an adapter."""
    change = AdapterChange(
        description=description, scale=scale, scope=scope, license=license, attribution=attribution, examples=examples
    )
    if change == UNCHANGED:
        raise InputError("say what to set: --scale, --description, --scope, --examples, --license or --attribution.")
    set_adapter(_folder(pack), name, change)
    changed = {key: getattr(change, key) for key in AdapterChange.__slots__}
    print(visible(f"{name}: {', '.join(f'{key} {value}' for key, value in changed.items() if value is not None)}"))


def _conversion(rank: str | None) -> AsLora | None:
    """What makes a LoRA of an adapter of another kind, where that is asked for."""
    if rank is None:
        return None
    require_torch("--as-lora", "peft")
    from dlp_local.training.adapter.as_lora import AsLora

    return AsLora(rank)


def _folder(pack: str | None) -> Path:
    return pack_folder(load_settings(pack=pack).pack)


def _opened(pack: str | None) -> Pack:
    folder = _folder(pack)
    return Pack(folder, read_manifest(folder))


def _manifest_json(pack: Pack, name: str, adapter: Adapter) -> dict[str, Any]:
    """What `pack.toml` says."""
    fields = adapter.model_dump(exclude={"examples_file", "detector"}, mode="json")
    return fields | {"path": str(pack.path(adapter)), "examples": list(pack.examples(name))}


def _file_json(fit: Fit) -> dict[str, Any]:
    """What its file says."""
    return {
        "architecture": fit.architecture,
        "ranks": list(fit.ranks),
        "alpha": fit.alpha,
        "weights": list(fit.weights),
        "layers": fit.layers,
        "size": fit.size,
        "activated": fit.is_activated,
        "base_model": fit.base_model,
        "training": fit.training,
        "fits": not fit.problem,
        "problem": fit.problem,
    }
