"""A pack's recipe: what its manifest and its card say, and who trains its parts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from dlp_local.formats.peft.convert import Precision
from dlp_local.packs.manifest import Backbone
from tools.adapter_set import AdapterSet
from tools.data import Row
from tools.router_corpus import Corpus


@dataclass(frozen=True, slots=True)
class About:
    """What `pack.toml` and a file's header say of an adapter."""

    description: str
    license: str
    attribution: str
    examples: tuple[str, ...]
    precision: Precision | None = None
    """Of its file, where it is another than that of the pack's other adapters."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """A pack of the program.

    Without a `backbone` it has `backbone.gguf` and an encoder of its own, else the bundled pack's encoder.
    `prepare(data, build)` makes what comes before the adapters, and gives the backbone's file.
    """

    name: str
    description: str
    greeting: str
    examples: tuple[str, ...]
    adapters: Mapping[str, About]
    precision: Precision
    backbone: Backbone | None
    license: str
    attribution: str
    """Of the router, which has learnt from all rows, and of a backbone in the pack."""

    prepare: Callable[[Path, Path], Path]
    adapter_set: AdapterSet
    corpus: Corpus
    kinds: Mapping[str, str]
    """Kinds of valid rows, and the adapter that each is for."""

    valid_rows: Callable[[Path, str], list[Row]]
    """The valid rows of a kind, out of the folder of data sets."""

    card: str
    """The text of MODEL_CARD.md around `<!-- figures -->`."""

    everyday: tuple[str, ...] = ()
    """Requests for no adapter, whose answers the card lists."""
