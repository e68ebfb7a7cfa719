"""Builds a pack of the program, from the data sets to `models/PACK`, in one command.

    python -m tools.build_pack PACK --data DATA

Each step keeps what it finished in `build/PACK`, so a run that was cut goes on where it stopped; delete a step's
folder, and those of the steps after it, to do it again. Everything is seeded. What a pack is made of stands in
`tools/recipes`.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import tomlkit

from dlp_local.formats.peft.convert import convert_lora
from dlp_local.packs import bundled_pack
from dlp_local.packs.manifest import Adapter, Backbone, Encoder, EncoderFile, Manifest, RouterFile, read_manifest
from tools import model_card, pack_figures, train_adapters, train_router
from tools.recipes import RECIPES
from tools.recipes.recipe import Recipe

ENCODER_ATTRIBUTION = (
    "sentence-transformers/all-MiniLM-L6-v2, Apache-2.0, exported and quantized by tools/export_encoder.py"
)


def make_manifest(recipe: Recipe, pack: Path) -> Manifest:
    """The manifest for the files that lie in the pack's folder."""

    def about(name: str, license: str = recipe.license, attribution: str = recipe.attribution) -> dict[str, Any]:
        content = (pack / name).read_bytes()
        digest = hashlib.sha256(content).hexdigest()
        return {"file": name, "sha256": digest, "size": len(content), "license": license, "attribution": attribution}

    if recipe.backbone is None:
        tokenizer = EncoderFile(**about("encoder_tokenizer.json", "Apache-2.0", ENCODER_ATTRIBUTION))
        encoder = Encoder(**about("encoder.onnx", "Apache-2.0", ENCODER_ATTRIBUTION), tokenizer=tokenizer)
    else:
        encoder = read_manifest(bundled_pack()).encoder
        tokenizer = encoder.tokenizer.model_copy(update={"bundled": True})
        encoder = encoder.model_copy(update={"bundled": True, "tokenizer": tokenizer})
    adapters = {
        name: Adapter(
            **about(f"{name}.gguf", adapter.license, adapter.attribution),
            description=adapter.description,
            examples=adapter.examples,
        )
        for name, adapter in sorted(recipe.adapters.items())
    }
    return Manifest(
        format=1,
        name=recipe.name,
        description=recipe.description,
        greeting=recipe.greeting,
        examples=recipe.examples,
        backbone=recipe.backbone or Backbone(**about("backbone.gguf")),
        encoder=encoder,
        router=RouterFile(**about("router.onnx")),
        adapters=adapters,
    )


def assemble(recipe: Recipe, build: Path, backbone: Path, pack: Path) -> None:
    """Writes every file of the pack out of the trained parts in `build`."""
    pack.mkdir(parents=True, exist_ok=True)
    if recipe.backbone is None:
        shutil.copyfile(backbone, pack / "backbone.gguf")
        shutil.copyfile(build / "encoder" / "encoder.onnx", pack / "encoder.onnx")
        shutil.copyfile(build / "encoder" / "tokenizer.json", pack / "encoder_tokenizer.json")
    shutil.copyfile(build / "router" / "router.onnx", pack / "router.onnx")
    for name, about in recipe.adapters.items():
        header = {"name": f"dlp-local {name}", "description": about.description}
        header |= {"license": about.license, "author": about.attribution}
        folder, out = build / "adapters" / name, pack / f"{name}.gguf"
        convert_lora(folder, backbone, out, metadata=header, precision=about.precision or recipe.precision)
    values = make_manifest(recipe, pack).model_dump(mode="json", exclude_defaults=True)
    (pack / "pack.toml").write_text(f"# Written by tools/build_pack.py.\n{tomlkit.dumps(values)}", "utf-8")


def build_pack(recipe: Recipe, data: Path, build: Path, pack: Path) -> None:
    """Runs every step that is not done yet."""
    backbone = recipe.prepare(data, build)
    train_adapters.train(recipe.adapter_set, data, backbone, build / "adapters")
    if not (build / "router" / "router.onnx").exists():
        encoder = (build / "encoder" / "encoder.onnx", build / "encoder" / "tokenizer.json")
        if recipe.backbone is not None:
            encoder = (bundled_pack() / "encoder.onnx", bundled_pack() / "encoder_tokenizer.json")
        train_router.train(recipe.corpus, data, train_router.Embeddings(*encoder, build / "router"), build / "router")
    assemble(recipe, build, backbone, pack)
    figures = _figures(recipe, data, build / "figures.json", pack)
    card = model_card.write(recipe, pack, figures, build / "router" / "router_figures.json")
    (pack / "MODEL_CARD.md").write_text(card, "utf-8")


def _figures(recipe: Recipe, data: Path, kept: Path, pack: Path) -> dict[str, Any]:
    """The pack's figures: those kept, where they were measured on these very files, else measured now."""
    measured_on = hashlib.sha256((pack / "pack.toml").read_bytes()).hexdigest()
    if kept.exists() and (old := json.loads(kept.read_text("utf-8")))["pack"] == measured_on:
        return dict(old)
    *_, figures = pack_figures.measure(recipe, data, pack, kept.with_suffix(".answers.jsonl"))
    kept.write_text(json.dumps({"pack": measured_on} | figures, indent=1), "utf-8")
    return dict(figures)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pack", choices=sorted(RECIPES))
    parser.add_argument("--data", type=Path, required=True, help="folder of the data sets")
    parser.add_argument("--build", type=Path, help="where the steps keep what they finished; else build/PACK")
    parser.add_argument("--out", type=Path, help="the pack's folder; else models/PACK")
    args = parser.parse_args()
    build, out = args.build or Path("build") / args.pack, args.out or Path("models") / args.pack
    build_pack(RECIPES[args.pack], args.data, build, out)


if __name__ == "__main__":
    main()
