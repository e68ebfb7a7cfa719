"""Trains the adapters of a pack side by side, on the dequantized weights of the GGUF that they run on.

    python -m tools.train_adapters PACK --data DATA --backbone MODEL.gguf [--start WEIGHTS] [VARIANT …]

Each adapter is trained as it runs (`tools.side_by_side`): on from the last user's turn, whatever stands before
it computed by the bare backbone. A second run with the same `--out` goes on from its checkpoint, with rows drawn anew.
The weights at the end are in `out/last`, their mean over about the last tenth of the steps in `out/mean`; `--valid`
counts valid rows that each answers exactly, to choose by. `tools.build_pack` trains all and takes those that the pack's
`AdapterSet` says were chosen.
"""

from __future__ import annotations

import argparse
import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch.utils.data import DataLoader, IterableDataset

from tools.adapter_set import AdapterSet
from tools.gguf_vocabulary import GgufVocabulary
from tools.recipes import RECIPES
from tools.side_by_side.adapters import AdapterBank
from tools.side_by_side.backbone import Backbone
from tools.side_by_side.data import Batch, batches
from tools.side_by_side.decode import answers
from tools.side_by_side.trainer import Budget, Trainer

LOG_SECONDS, LONGEST_ANSWER = 20, 160


class Batches(IterableDataset):  # type: ignore[misc]
    """A variant's endless batches, made in a process of their own."""

    def __init__(self, adapters: AdapterSet, data: Path, backbone: Path, name: str, seed: int) -> None:
        self._adapters, self._data, self._backbone, self._name, self._seed = adapters, data, backbone, name, seed

    def __iter__(self) -> Iterator[Batch]:
        adapters, variant = self._adapters, self._adapters.variants[self._name]
        tokenize = GgufVocabulary(self._backbone).tokenize
        rows = adapters.rows(self._data, variant.task, self._seed)
        examples = (adapters.frame.example(row.message, row.answer, tokenize) for row in rows)
        yield from batches(examples, adapters.batch_rows, adapters.length, random.Random(self._seed), variant.brevity)


def train(
    adapters: AdapterSet,
    data: Path,
    backbone_file: Path,
    out: Path,
    budget: Budget,
    *,
    names: Sequence[str] = (),
    start: Path | None = None,
    save_every: float = 60,
    valid: int = 0,
) -> None:
    """Trains variants, or all of them, into `out/last` and `out/mean` until `budget` is spent.

    It goes on from a checkpoint in `out`.
    All of them each have their share of the time; some that are named have all of it. `start` holds PEFT folders to go
    on from, by task.
    """
    plans = {name: adapters.variants[name].plan for name in names or adapters.variants}
    if names:
        plans = {name: replace(plan, begin=0.0, end=1.0) for name, plan in plans.items()}
    out.mkdir(parents=True, exist_ok=True)
    cuda = torch.cuda.is_available()
    streams = {  # their processes start before CUDA does
        name: iter(
            DataLoader(
                Batches(adapters, data, backbone_file, name, i),
                batch_size=None,
                num_workers=1,
                prefetch_factor=48 * plan.slots if cuda else 4,
            )
        )
        for i, (name, plan) in enumerate(plans.items())
    }
    backbone = Backbone(backbone_file, "cuda" if cuda else "cpu", torch.bfloat16 if cuda else torch.float32)
    bank = _begin(adapters, list(plans), backbone, start)
    if cuda:
        backbone.compile()
    vocabulary = GgufVocabulary(backbone_file)
    before = adapters.prefixes(data, vocabulary.tokenize)
    trainer = Trainer(backbone, bank, plans, streams, before, budget)
    if (out / "checkpoint.pt").exists():
        trainer.restore(out / "checkpoint.pt")
    _run(trainer, out / "checkpoint.pt", save_every)
    invocation = vocabulary.tokenize(adapters.frame.before)
    for folder, tensors in (("last", bank.tensors), ("mean", trainer.optimizer.mean)):
        for name in bank.names:
            bank.save(name, out / folder / name, invocation, tensors)
    if valid:
        shares = exact(adapters, backbone, bank, data, vocabulary, valid)
        (out / "valid.json").write_text(json.dumps(shares, indent=1), "utf-8")
        print(json.dumps(shares, indent=1))


def _begin(adapters: AdapterSet, names: list[str], backbone: Backbone, start: Path | None) -> AdapterBank:
    bank = AdapterBank(names, backbone.shape, adapters.rank, backbone.device)
    for i, name in enumerate(names):
        folder = start / adapters.variants[name].task if start else None
        if folder is not None and folder.exists():
            bank.load(name, folder)
        else:
            bank.start(name, adapters.variants[name].rank, i)
    return bank


def _run(trainer: Trainer, checkpoint: Path, save_every: float) -> None:
    """Steps until the time is over; says how it goes, and saves."""
    saved = logged = trainer.seconds
    first = trainer.progress()
    while trainer.step():
        seconds = trainer.seconds
        if seconds - logged > LOG_SECONDS:
            progress, logged = trainer.progress(), seconds
            losses = " ".join(f"{name} {loss:.3f}" for name, loss in progress.losses.items())
            speed = (progress.tokens - first.tokens) / (progress.seconds - first.seconds)
            print(f"{progress.share:.1%} {progress.tokens:,} tokens, {speed:,.0f} a second: {losses}", flush=True)
        if seconds - saved > save_every:
            trainer.save(checkpoint)
            saved = seconds
    trainer.save(checkpoint)


def exact(
    adapters: AdapterSet, backbone: Backbone, bank: AdapterBank, data: Path, vocabulary: GgufVocabulary, count: int
) -> dict[str, float]:
    """How many of `count` valid rows, in percent, each variant answers exactly as the data has it."""
    (end,) = vocabulary.tokenize(adapters.frame.end)
    before = vocabulary.tokenize(adapters.before)
    shares = {}
    for name in bank.names:
        rows = adapters.valid_rows(data, adapters.variants[name].task)
        rows = random.Random(0).sample(rows, min(count, len(rows)))
        prompts = {name: [adapters.frame.prompt(row.message, vocabulary.tokenize) for row in rows]}
        answered = answers(backbone, bank, prompts, before, end, LONGEST_ANSWER)[name]
        texts = [vocabulary.text(tokens).strip() for tokens in answered]
        shares[name] = 100 * sum(text == row.answer.strip() for text, row in zip(texts, rows, strict=True)) / len(rows)
    return shares


def choose(adapters: AdapterSet, backbone_file: Path, trained: Path, out: Path) -> None:
    """Writes the chosen weights of a training as a PEFT folder `out/NAME` for each adapter."""
    shape = Backbone(backbone_file).shape
    invocation = GgufVocabulary(backbone_file).tokenize(adapters.frame.before)
    for name, choice in adapters.chosen.items():
        bank = AdapterBank(choice.variants, shape, adapters.rank)
        for variant in choice.variants:
            bank.load(variant, trained / choice.weights / variant)
        mean = {group: tensor.detach().mean(1, keepdim=True) for group, tensor in bank.tensors.items()}
        bank.save(choice.variants[0], out / name, invocation, mean)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pack", choices=sorted(RECIPES))
    parser.add_argument("variants", nargs="*", metavar="VARIANT", help="these alone, all the time; none: all of them")
    parser.add_argument("--data", type=Path, required=True, help="folder of the data sets")
    parser.add_argument("--backbone", type=Path, required=True, help="the GGUF that the adapters will run on")
    parser.add_argument("--out", type=Path, help="else build/PACK/training")
    parser.add_argument("--start", type=Path, help="folder of PEFT folders to go on from, by task")
    parser.add_argument("--seconds", type=float, help="else as long as for the pack in the repository")
    parser.add_argument("--valid", type=int, default=0, help="valid rows to answer at the end")
    parser.add_argument("--save-every", type=float, default=60, help="seconds between checkpoints")
    args = parser.parse_args()
    adapters = RECIPES[args.pack].adapter_set
    if unknown := set(args.variants) - set(adapters.variants):
        parser.error(f"no such variant: {', '.join(sorted(unknown))}; there are {', '.join(adapters.variants)}")
    out = args.out or Path("build") / args.pack / "training"
    seconds = adapters.seconds if args.seconds is None else args.seconds
    train(
        adapters, args.data, args.backbone, out, Budget(seconds=seconds),
        names=args.variants, start=args.start, save_every=args.save_every, valid=args.valid,
    )  # fmt: skip


if __name__ == "__main__":
    main()
