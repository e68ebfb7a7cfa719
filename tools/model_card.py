"""The text of the bundle's MODEL_CARD.md, made from the files as they are and the figures as measured."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

_HEAD = """\
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

_TRAINING = """\
## Training

Backbone: Llama architecture, 7.5 M parameters (8 layers, width 256, 4 heads, FFN 704), byte-level BPE of 4096 tokens
that cuts a word into the same pieces wherever it stands, about 16 M tokens of the data sets' text, prompts and answers
apart, of small talk, and of exercises in copying; AdamW, bf16. Adapters: LoRA rank 16 on all seven weights of a layer,
trained as Activated LoRA (arXiv 2512.17910): earlier turns under the bare backbone, the adapter on from the last
`<|user|>`; `shell` is the mean of its training and of a second one that went on from it. Router: a mini-MLP over the
encoder's 384 numbers, temperature-calibrated. Everything from one seeded command, `python -m tools.build_bundle --data
DATA`; the files here were trained in several sittings, with a few lengths of training changed between them.

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


def write(pack: Path, figures: dict[str, dict[str, Any]], router_figures: Path) -> str:
    """The whole card for the files in `pack`."""
    files = sorted(path for path in pack.iterdir() if path.name != "MODEL_CARD.md")
    total = sum(path.stat().st_size for path in files)
    lines = [_HEAD, "## Figures", ""]
    lines += [
        "Valid rows, greedy, measured on these files through the product (`python -m tools.measure_bundle`). `alone`:",
        "the task's adapter by hand; `routed`: the mix that the router chose; `base`: no adapter.",
        "",
        "| adapter | metric | rows | alone | routed | base |",
        "|---|---|---|---|---|---|",
    ]
    for task, f in figures.items():
        lines.append(
            f"| {task} | {f['metric']} | {f['rows']:,} | {f['alone']:.1f} | {f['routed']:.1f} | {f['base']:.1f} |"
        )
    lines += ["", f"`extract` as text, with the keys in the data's order: {figures['extract']['alone_as_text']:.1f} %."]
    lines += ["", *_router_lines(json.loads(router_figures.read_text("utf-8"))), ""]
    lines += ["## Files", "", "| file | size |", "|---|---|"]
    lines += [f"| {path.name} | {path.stat().st_size / 1e6:.2f} MB |" for path in files]
    lines += [f"| all | {total / 1e6:.1f} MB |", "", _TRAINING]
    return "\n".join(lines)


def _router_lines(figures: dict[str, Any]) -> list[str]:
    """The router's own figures, as `tools/train_router.py` wrote them."""

    def percent(share: float) -> str:
        return f"{100 * share:.1f} %"

    top1 = ", ".join(f"{task} {percent(share)}" for task, share in figures["top1"].items())
    return [
        f"Router: {figures['parameters']:,} parameters. Top-1 on valid rows: {percent(figures['top1_all_tasks'])} over "
        f"the six tasks ({top1}; sql on {figures['rows']['sql']:,} rows). {percent(figures['base'])} of `intents` "
        f"messages and small talk go to base ({percent(figures['base_small_talk'])} of the small talk alone, in "
        f"wordings that were not trained on). Expected calibration error "
        f"{percent(figures['calibration_error_valid'])}.",
    ]
