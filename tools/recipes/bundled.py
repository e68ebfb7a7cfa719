"""The bundled pack: a small backbone of our own, and six adapters that show the method."""

from __future__ import annotations

from pathlib import Path

from tools import data, export_encoder, gguf_export, router_messages, train_adapters, train_backbone
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

CARD_HEAD = """\
# The bundled pack

A demonstration of DLP-LoRA on a laptop: a small backbone, six adapters, a sentence encoder and a router, all trained
or exported by this repository's `tools/`. It shows the method; it is no model for real work. What it writes is often
wrong: read a shell command before you run it.

## Use

| adapter | message | answer |
|---|---|---|
| shell | `{tool}: {what to do}`, or "how do I … with tar?" | a command |
| sql | a question, and on a second line `columns: a, b, c` | a SELECT on a table `t` |
| describe | `name[…], eatType[…], food[…]` | a sentence |
| extract | a message to a restaurant | JSON with `people`, `date`, `time`, `first_name`, `last_name` |
| banking | a message to a bank | one of 77 intents |
| dates | `to ISO: {date}` | `YYYY-MM-DD` |

Dates: the day comes before the month where both orders are possible (`4/3/1975` is 4 March); two-digit years are
1969-2068. Years 1901-2099. Without an adapter (`base`) the backbone greets, says what it is, repeats, and admits
what it does not know. English only; best within a few hundred tokens; context 1024.
"""

CARD_END = """\
## Training

Backbone: Llama architecture, 7.5 M parameters (8 layers, width 256, 4 heads, FFN 704), byte-level BPE of 4096 tokens
that cuts a word into the same pieces wherever it stands, about 16 M tokens of the data sets' text, prompts and answers
apart, of small talk, and of exercises in copying; AdamW, bf16. Adapters: LoRA rank 16 on all seven weights of a layer,
trained as Activated LoRA (arXiv 2512.17910): earlier turns under the bare backbone, the adapter on from the last
`<|user|>`; `shell` is the mean of its training and of a second one that went on from it. Router: a mini-MLP over the
encoder's 384 numbers, temperature-calibrated. Everything from one seeded command, `python -m tools.build_pack bundled
--data DATA`; the files here were trained in several sittings, with a few lengths of training changed between them.

## Data and licenses

| data | used for | license |
|---|---|---|
| tldr-pages | shell | CC BY 4.0 |
| WikiSQL, as in text2sql-data | sql | BSD-3-Clause |
| E2E NLG dataset | describe | CC BY-SA 4.0 |
| RESTAURANTS-8K | extract | CC BY 4.0 |
| BANKING77 | banking | CC BY 4.0 |
| CLINC150 | router and backbone (`base`) | CC BY 3.0 |
| generated dates | dates | Apache-2.0 |
| all-MiniLM-L6-v2 (weights) | encoder | Apache-2.0 |

`pack.toml` and each GGUF header name the license and attribution of the file. No rows of the data are in this
repository.

## Limits

The backbone knows only the language of these data sets. `sql` often takes a wrong column where the question names it in
other words, and rare names and values may come out altered. Exact match is strict: a shell answer that a person would
accept often differs from the page's own. `shell` knows the tools of tldr-pages' training rows and guesses the options
of others. `extract` and `banking` inherit the labels of their data, with the noise that these have.
"""


def prepare(folder: Path, build: Path) -> Path:
    """Exports the encoder, trains the backbone and writes it as GGUF."""
    if not (build / "encoder" / "encoder.onnx").exists():
        export_encoder.export(export_encoder.DEFAULT_MODEL, build / "encoder")
    if not (build / "backbone" / "model.safetensors").exists():
        train_backbone.train(folder, build / "backbone", train_backbone.Plan())
    path = build / "backbone.gguf"
    about = {"name": "dlp-local demonstration backbone", "description": GREETING, "license": LICENSE}
    gguf_export.export_backbone(build / "backbone", path, about | {"author": ATTRIBUTION})
    return path


def adapters(folder: Path, build: Path) -> None:
    """Trains the adapters."""
    for task, plan in train_adapters.PLANS.items():
        train_adapters.train(folder, build / "backbone", build / "adapters", task, plan)


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
    train_adapters=adapters,
    corpus=router_messages.CORPUS,
    kinds={task: task for task in ABOUT},
    valid_rows=lambda folder, kind: data.load(folder, kind, "valid"),
    card_head=CARD_HEAD,
    card_end=CARD_END,
)
