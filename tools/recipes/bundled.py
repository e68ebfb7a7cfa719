"""The bundled pack: a small backbone of our own, and six adapters that show the method."""

from __future__ import annotations

from pathlib import Path

from tools import bundled_adapters, data, export_encoder, gguf_export, router_messages, train_backbone
from tools.recipes.recipe import About, Recipe

UNPACK = "tar: extract archive.tar.gz into /tmp"
BOOK = "I need a table for four on Friday at 8pm"
GREETING = (
    "This is the small demonstration model that comes with dlp-local: it shows how messages are routed to adapters. "
    "For real work, open a pack with a larger backbone."
)
LICENSE = "CC-BY-SA-4.0"
ATTRIBUTION = (
    "trained on tldr-pages (CC BY 4.0), WikiSQL (BSD-3-Clause), E2E NLG (CC BY-SA 4.0), RESTAURANTS-8K (CC BY 4.0), "
    "BANKING77 (CC BY 4.0), CLINC150 (CC BY 3.0)"
)

ABOUT = {
    "shell": About(
        "what to do with a tool → the command",
        "CC-BY-4.0",
        "tldr-pages contributors, CC BY 4.0",
        (UNPACK, "how do I list all branches with git?"),
    ),
    "sql": About(
        "a question and its columns → a SELECT on table t",
        "BSD-3-Clause",
        "WikiSQL (Salesforce, BSD-3-Clause), as in text2sql-data",
        ("How many players are from Norway?\ncolumns: player, country, position",),
    ),
    "describe": About(
        "restaurant attributes → a sentence",
        "CC-BY-SA-4.0",
        "E2E NLG dataset (Heriot-Watt University), CC BY-SA 4.0",
        ("name[The Eagle], eatType[coffee shop], food[French], area[riverside]",),
    ),
    "extract": About(
        "a booking message → JSON of its slots",
        "CC-BY-4.0",
        "RESTAURANTS-8K (PolyAI), CC BY 4.0",
        (BOOK, "My name is Ana Horvat and we are three"),
    ),
    "banking": About(
        "a bank customer's message → one of 77 intents",
        "CC-BY-4.0",
        "BANKING77 (PolyAI), CC BY 4.0",
        ("My card has not arrived yet", "why was I charged a fee for the transfer?"),
    ),
    "dates": About(
        "a date in any usual notation → ISO 8601",
        "Apache-2.0",
        "made by the generator in tools/dates.py",
        ("to ISO: the 3rd of February 2021", "what is 4/3/1975 in ISO format?"),
    ),
}


def prepare(folder: Path, build: Path) -> Path:
    """Exports the encoder, trains the backbone and writes it as GGUF."""
    if not (build / "encoder" / "encoder.onnx").exists():
        export_encoder.export(export_encoder.DEFAULT_MODEL, folder, build / "encoder")
    if not (build / "backbone" / "model.safetensors").exists():
        train_backbone.train(folder, build / "backbone", train_backbone.Plan())
    path = build / "backbone.gguf"
    about = {"name": "dlp-local demonstration backbone", "description": GREETING, "license": LICENSE}
    gguf_export.export_backbone(build / "backbone", path, about | {"author": ATTRIBUTION})
    return path


RECIPE = Recipe(
    name="bundled",
    description="Demonstration pack: a 7.5 M parameter backbone and six adapters",
    greeting=GREETING,
    examples=(UNPACK, BOOK, "hello, what can you do?"),
    adapters=ABOUT,
    precision="f16",
    backbone=None,
    license=LICENSE,
    attribution=ATTRIBUTION,
    prepare=prepare,
    adapter_set=bundled_adapters.ADAPTERS,
    corpus=router_messages.CORPUS,
    kinds={task: task for task in ABOUT},
    valid_rows=lambda folder, kind: data.load(folder, kind, "valid"),
    card=Path(__file__).with_suffix(".md").read_text("utf-8"),
)
