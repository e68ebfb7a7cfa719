"""`dlp-local pull`: backbones, adapters and packs from the Hugging Face Hub."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.table import Table
from rich.text import Text

from dlp_local.cli import terminal
from dlp_local.cli.flags import JsonOption
from dlp_local.core.errors import InputError
from dlp_local.core.text import size_text, visible
from dlp_local.packs.catalogue import catalogue, named_reference

if TYPE_CHECKING:
    from dlp_local.hub.choice import RepoFile
    from dlp_local.packs.fetched import Fetched

NEXT = {
    "backbone": "dlp-local pack create NAME --backbone {path}",
    "adapter": "dlp-local adapters add {path} --name NAME",
    "peft": "dlp-local adapters add {path} --name NAME",
    "pack": "dlp-local pack use {name}",
}
"""What a person would do with what was fetched."""


def names() -> list[tuple[str, str]]:
    """Completion of a name in the catalogue."""
    return [(entry.name, entry.description) for entry in catalogue().values()]


def pull(
    reference: Annotated[
        str | None,
        typer.Argument(
            help="hf:owner/repo, with :file and @revision as needed, or a name of --list.", autocompletion=names
        ),
    ] = None,
    list_all: Annotated[bool, typer.Option("--list", help="Show the backbones that have a name.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Fetch a backbone, an adapter or a whole pack; what was cut goes on where it was."""
    if list_all and reference:
        raise InputError("--list shows every name. Leave it out to fetch, or leave out what to fetch.")
    if list_all:
        _list(as_json)
        return
    if reference is None:
        raise InputError("say what to fetch: hf:owner/repo, or a name of `dlp-local pull --list`.")
    wanted = named_reference(reference)
    from dlp_local.packs.fetch import fetch

    with Bars() as bars:
        try:
            fetched = fetch(wanted, progress=bars)
        except KeyboardInterrupt:
            bars.note("what came is kept; the same command goes on from there")
            raise
    if as_json:
        terminal.write_json(_json(fetched))
    else:
        _print(fetched)


@dataclass
class Bars:
    """A bar for each file, with speed and remaining time, on stderr, where a person looks on."""

    progress: Progress = field(
        default_factory=lambda: Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            DownloadColumn(),
            TransferSpeedColumn(),
            TimeRemainingColumn(),
            console=terminal.text_console(stderr=True),
            disable=not sys.stderr.isatty(),
        )
    )
    tasks: dict[RepoFile, TaskID] = field(default_factory=dict)

    def __enter__(self) -> Bars:
        self.progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.progress.stop()

    def at(self, file: RepoFile, done: int) -> None:
        """Moves the file's bar; what was there before does not count as speed."""
        if file in self.tasks:
            self.progress.update(self.tasks[file], completed=done)
        else:
            self.tasks[file] = self.progress.add_task(visible(file.path), total=file.size, completed=done)

    def note(self, text: str) -> None:
        """Above the bars, or on a line of its own."""
        self.progress.console.print(Text(visible(text)), soft_wrap=True)


def _list(as_json: bool) -> None:
    entries = list(catalogue().values())
    if as_json:
        for entry in entries:
            terminal.write_json(
                {"name": entry.name, "reference": str(entry.reference), "description": entry.description,
                 "size": entry.size, "ram": entry.ram, "license": entry.license}
            )  # fmt: skip
        return
    table = Table("name", "size", "memory", "license", "", box=None, pad_edge=False)
    table.columns[1].justify = table.columns[2].justify = "right"
    for entry in entries:
        table.add_row(entry.name, size_text(entry.size), size_text(entry.ram), entry.license, entry.description)
    terminal.text_console().print(table)


def _json(fetched: Fetched) -> dict[str, Any]:
    return {
        "kind": fetched.kind,
        "path": str(fetched.path),
        "source": fetched.source,
        "revision": fetched.revision,
        "license": fetched.license,
        "files": [{"path": str(file.path), "size": file.size, "sha256": file.sha256} for file in fetched.files],
    }


def _print(fetched: Fetched) -> None:
    print(f"{fetched.kind}: {visible(str(fetched.path))}")
    print(f"from {visible(fetched.source)}, {size_text(fetched.size)}, verified")
    print(f"license: {visible(fetched.license) or 'none is stated; look at the repository before you use it'}")
    if fetched.kind == "pack" and (missing := _missing_backbone(fetched.path)):
        print(f"but {visible(missing)}")
    path = visible(str(fetched.path))
    print("next: " + NEXT[fetched.kind].format(path=f'"{path}"' if " " in path else path, name=fetched.path.name))


def _missing_backbone(folder: Path) -> str:
    """How to get the backbone of a pack where it is not on this machine; else nothing."""
    from dlp_local.packs.backbone_location import find_backbone, how_to_get
    from dlp_local.packs.manifest import read_manifest

    backbone = read_manifest(folder).backbone
    return "" if find_backbone(folder, backbone) else how_to_get(backbone)
