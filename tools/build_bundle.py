"""Builds the bundled pack, from the data sets to `models/bundled`, in one command.

    python -m tools.build_bundle --data DATA

Each step keeps what it finished in `build/`, so a run that was cut goes on where it stopped; delete a step's folder,
and those of the steps after it, to do it again. Everything is seeded.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dlp_local.formats.peft.convert import convert_lora
from tools import export_encoder, gguf_export, measure_bundle, model_card, train_adapters, train_backbone, train_router
from tools.data import TASKS

GREETING = (
    "This is the small demonstration model that comes with dlp-local: it shows how messages are routed to adapters. "
    "For real work, open a pack with a larger backbone."
)
UNPACK = "tar: extract archive.tar.gz into /tmp"
BOOK = "I need a table for four on Friday at 8pm"


@dataclass(frozen=True, slots=True)
class About:
    """What `pack.toml` and a file's header say of an adapter."""

    description: str
    license: str
    attribution: str
    examples: tuple[str, ...]


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
BACKBONE_LICENSE = "CC-BY-SA-4.0"
BACKBONE_ATTRIBUTION = (
    "trained on tldr-pages (CC BY 4.0), WikiSQL (BSD-3-Clause), E2E NLG (CC BY-SA 4.0), RESTAURANTS-8K (CC BY 4.0), "
    "BANKING77 (CC BY 4.0), CLINC150 (CC BY 3.0)"
)
ENCODER_ATTRIBUTION = (
    "sentence-transformers/all-MiniLM-L6-v2, Apache-2.0, exported and quantized by tools/export_encoder.py"
)


def _string(text: str) -> str:
    """A TOML basic string; JSON's are a subset of them once DEL is escaped."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _strings(texts: tuple[str, ...]) -> str:
    """A TOML array of strings."""
    return f"[{', '.join(map(_string, texts))}]"


def _file_lines(pack: Path, name: str, license: str, attribution: str) -> list[str]:
    digest = hashlib.sha256((pack / name).read_bytes()).hexdigest()
    return [
        f"file = {_string(name)}",
        f"sha256 = {_string(digest)}",
        f"license = {_string(license)}",
        f"attribution = {_string(attribution)}",
    ]


def write_manifest(pack: Path) -> None:
    """Writes `pack.toml` for the files that lie in the pack's folder."""
    lines = [
        "# Written by tools/build_bundle.py.",
        "format = 1",
        'name = "bundled"',
        'description = "Demonstration pack: a 7.5 M parameter backbone and six adapters"',
        f"greeting = {_string(GREETING)}",
        f"examples = {_strings((UNPACK, BOOK, 'hello, what can you do?'))}",
        "\n[backbone]",
        *_file_lines(pack, "backbone.gguf", BACKBONE_LICENSE, BACKBONE_ATTRIBUTION),
        "\n[encoder]",
        *_file_lines(pack, "encoder.onnx", "Apache-2.0", ENCODER_ATTRIBUTION),
        "\n[encoder.tokenizer]",
        *_file_lines(pack, "encoder_tokenizer.json", "Apache-2.0", ENCODER_ATTRIBUTION),
        "\n[router]",
        *_file_lines(pack, "router.onnx", BACKBONE_LICENSE, BACKBONE_ATTRIBUTION),
    ]
    for task in sorted(TASKS):
        about = ABOUT[task]
        lines += [
            f"\n[adapters.{task}]",
            *_file_lines(pack, f"{task}.gguf", about.license, about.attribution),
            f"description = {_string(about.description)}",
            f"examples = {_strings(about.examples)}",
        ]
    (pack / "pack.toml").write_text("\n".join(lines) + "\n", "utf-8")


def _header(name: str, description: str, license: str, attribution: str) -> dict[str, str]:
    return {"name": name, "description": description, "license": license, "author": attribution}


def assemble(build: Path, pack: Path) -> None:
    """Writes every file of the pack out of the trained parts in `build`."""
    pack.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(build / "encoder" / "encoder.onnx", pack / "encoder.onnx")
    shutil.copyfile(build / "encoder" / "tokenizer.json", pack / "encoder_tokenizer.json")
    shutil.copyfile(build / "router" / "router.onnx", pack / "router.onnx")
    backbone = build / "backbone"
    about = _header("dlp-local demonstration backbone", GREETING, BACKBONE_LICENSE, BACKBONE_ATTRIBUTION)
    gguf_export.export_backbone(backbone, pack / "backbone.gguf", about)
    for task in TASKS:
        said = ABOUT[task]
        header = _header(f"dlp-local {task}", said.description, said.license, said.attribution)
        convert_lora(
            build / "adapters" / task, pack / "backbone.gguf", pack / f"{task}.gguf", metadata=header, half=True
        )
    write_manifest(pack)


def build_all(folder: Path, build: Path, pack: Path) -> dict[str, Any]:
    """Runs every step that is not done yet; returns the figures."""
    if not (build / "encoder" / "encoder.onnx").exists():
        export_encoder.export(export_encoder.DEFAULT_MODEL, build / "encoder")
    if not (build / "backbone" / "model.safetensors").exists():
        train_backbone.train(folder, build / "backbone", train_backbone.Plan())
    for task, plan in train_adapters.PLANS.items():
        train_adapters.train(folder, build / "backbone", build / "adapters", task, plan)
    if not (build / "router" / "router.onnx").exists():
        train_router.train(folder, build / "encoder", build / "router")
    assemble(build, pack)
    figures = _figures(folder, build / "figures.json", pack)
    card = model_card.write(pack, figures, build / "router" / "router_figures.json")
    (pack / "MODEL_CARD.md").write_text(card, "utf-8")
    return figures


def _figures(folder: Path, kept: Path, pack: Path) -> dict[str, Any]:
    """The pack's figures: those kept, where they were measured on these very files, else measured now."""
    measured_on = hashlib.sha256((pack / "pack.toml").read_bytes()).hexdigest()
    if kept.exists() and (old := json.loads(kept.read_text("utf-8")))["pack"] == measured_on:
        return dict(old["tasks"])
    tasks = measure_bundle.measure(folder, pack)
    kept.write_text(json.dumps({"pack": measured_on, "tasks": tasks}, indent=1), "utf-8")
    return tasks


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of the data sets")
    parser.add_argument("--build", type=Path, default=Path("build"), help="where the steps keep what they finished")
    parser.add_argument("--out", type=Path, default=Path("models/bundled"))
    args = parser.parse_args()
    for task, figure in build_all(args.data, args.build, args.out).items():
        print(f"{task:9} {figure['alone']:5.1f} alone, {figure['routed']:5.1f} routed ({figure['metric']})")


if __name__ == "__main__":
    main()
