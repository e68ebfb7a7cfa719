"""A part of the experiments: steps that measure, and the section of the page that is made of their figures alone."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dlp_local.core.errors import InputError
from dlp_local.core.files import make_folder, written_aside
from dlp_local.core.paths import MANIFEST
from tools.recipes.recipe import Recipe

Figures = dict[str, Any]
"""What a step measures, as JSON has it."""


@dataclass(frozen=True, slots=True)
class Setup:
    """What is measured: a pack and its recipe, the folder of the data sets, how many rows.

    `build` is a folder for what is kept between runs and not published: answers and embeddings. `rows` are those of a
    task that are answered, `per_class` those of a label that classifiers are trained on, or that are routed. `threads`
    of the engine, 0: as the product has it.

    Of what is trained anew there are so many `seeds`; of BIG-Bench Hard so many tasks, at most so many training rows of
    each, learnt from so often (0: as often as `adapters train` would).
    """

    recipe: Recipe
    pack: Path
    data: Path
    build: Path
    rows: int
    per_class: int
    threads: int = 0
    seeds: int = 3
    bbh_tasks: int = 27
    bbh_rows: int = 150
    bbh_epochs: int = 0

    def setting(self, names: Sequence[str]) -> Figures:
        """What figures depend on: some fields, and what the pack is."""
        manifest = (self.pack / MANIFEST).read_bytes()
        return {name: getattr(self, name) for name in names} | {"pack": hashlib.sha256(manifest).hexdigest()[:12]}


@dataclass(frozen=True, slots=True)
class Part:
    """A part: its steps by name, each measured apart and kept at once, and its section of the page.

    `depends_on` are the fields of the setup that change the figures. `section` is given the figures of the steps that
    were measured, at least one, and returns Markdown that begins with a heading.
    """

    name: str
    depends_on: tuple[str, ...]
    steps: Mapping[str, Callable[[Setup], Figures]]
    section: Callable[[Mapping[str, Figures]], str]


def measure(part: Part, setup: Setup, folder: Path, *, restart: bool = False) -> Iterator[tuple[str, bool]]:
    """Measures the steps of a part that `folder/PART.json` does not have yet for this setup, and writes each into it.

    Gives each step's name before it is measured, and whether it is there already. Steps that the part has no more are
    removed.
    """
    file, setting = folder / f"{part.name}.json", setup.setting(part.depends_on)
    kept = {} if restart else {name: step for name, step in read(file).items() if name in part.steps}
    for name, step in part.steps.items():
        is_there = kept.get(name, {}).get("setting") == setting
        yield name, is_there
        if not is_there:
            kept[name] = {"setting": setting, "figures": step(setup)}
            make_folder(folder)
            with written_aside(file) as aside:
                aside.write_text(json.dumps(kept, indent=1, ensure_ascii=False) + "\n", "utf-8", newline="\n")


def figures(part: Part, folder: Path) -> dict[str, Figures]:
    """The figures of the steps that were measured, in the order of the part's steps."""
    kept = read(folder / f"{part.name}.json")
    return {name: kept[name]["figures"] for name in part.steps if name in kept}


def read(file: Path) -> dict[str, Figures]:
    """The steps of a part's file, each with its setting and figures; none where it is not there.

    Raises `InputError` for a damaged one.
    """
    if not file.exists():
        return {}
    try:
        kept = json.loads(file.read_text("utf-8"))
        if not all({"setting", "figures"} <= step.keys() for step in kept.values()):
            raise ValueError
    except (ValueError, AttributeError):
        raise InputError(f"{file}: is damaged. Remove it, and its part is measured again.") from None
    return dict(kept)


Ways = Callable[[str], Mapping[str, Callable[..., float]]]


def summarized(draws: Sequence[Mapping[str, float]], ways: Ways) -> Figures:
    """Each figure of several draws, by its name, in the `ways` that sum it up (`mean`, `min`); a draw may lack some."""
    names = dict.fromkeys(name for draw in draws for name in draw)
    values = {name: [draw[name] for draw in draws if name in draw] for name in names}
    return {name: {way: round(float(of(values[name])), 4) for way, of in ways(name).items()} for name in names}
