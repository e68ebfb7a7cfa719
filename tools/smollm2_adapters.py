"""Trains the adapters of the SmolLM2 pack side by side, on the dequantized weights of its GGUF.

    python -m tools.smollm2_adapters --data DATA --backbone MODEL.gguf --tokenizer tokenizer.json [--start WEIGHTS]

Each adapter is trained as it runs (`dlp_local.training.adapter`): on from the last `<|im_start|>user`, the template's
own system prompt before it, a random conversation in 15 % of the steps. `--start` holds PEFT folders to go on from. A
second run with the same `--out` goes on from its checkpoint, with rows drawn anew. The weights at the end are in
`out/last`, their mean over about the last tenth of the steps in `out/mean`; `--valid` counts valid rows that each
answers exactly, to choose by.
"""

from __future__ import annotations

import argparse
import json
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer
from torch.utils.data import DataLoader, IterableDataset

from dlp_local.training.adapter.adapters import AdapterBank
from dlp_local.training.adapter.backbone import Backbone
from dlp_local.training.adapter.data import Batch, ChatFrame, batches
from dlp_local.training.adapter.decode import answers
from dlp_local.training.adapter.trainer import Budget, Plan, Trainer
from tools import smollm2_data

SYSTEM = "You are a helpful AI assistant named SmolLM, trained by Hugging Face"
FRAME = ChatFrame("<|im_start|>user\n", "<|im_end|>\n<|im_start|>assistant\n", "<|im_end|>")
RANK = 16
CONVERSATION_SHARE = 0.15
LONGEST_PREFIX = 400
"""Tokens of the longest conversation before a step's rows."""

ROWS, LENGTH = 10, 224
"""Rows of a slot's batch, and tokens of a row: about 2,000 tokens learned from in a slot and step."""


@dataclass(frozen=True, slots=True)
class Variant:
    """One training of a task; a task may have several, of which valid rows choose."""

    task: str
    plan: Plan
    rank: int = 8
    brevity: float = 0.0


VARIANTS = {
    "sql-a": Variant("sql", Plan(1.5e-3, dropout=0.05, slots=5), 16),
    "sql-b": Variant("sql", Plan(2.5e-3, dropout=0.05, slots=3), 16, 0.3),
    "shell-a": Variant("shell", Plan(1.5e-3, dropout=0.1, slots=2), 16, 0.5),
    "shell-b": Variant("shell", Plan(2.5e-3, dropout=0.15, slots=3), 16, 0.5),
    "extract-a": Variant("extract", Plan(1e-3, dropout=0.1, end=0.5), brevity=0.3),
    "extract-b": Variant("extract", Plan(2e-3, decay=0.05, dropout=0.15, begin=0.5), brevity=0.3),
    "banking-a": Variant("banking", Plan(1e-3, decay=0.1, dropout=0.1, end=0.5), brevity=0.5),
    "banking-b": Variant("banking", Plan(2e-3, decay=0.1, dropout=0.2, begin=0.5), brevity=0.5),
    "describe-a": Variant("describe", Plan(1e-3, dropout=0.1, end=0.35)),
    "describe-b": Variant("describe", Plan(6e-4, dropout=0.05, begin=0.35, end=0.6)),
    "dates-a": Variant("dates", Plan(1.5e-3, begin=0.6)),
    "actions-a": Variant("actions", Plan(1e-3, dropout=0.1), brevity=0.3),
    "actions-b": Variant("actions", Plan(2e-3, decay=0.05, dropout=0.15), brevity=0.3),
    "cron-a": Variant("cron", Plan(2e-3)),
    "units-a": Variant("units", Plan(2e-3, slots=2)),
    "json-a": Variant("json", Plan(2e-3)),
    "regex-a": Variant("regex", Plan(2e-3, dropout=0.02)),
    "proofread-a": Variant("proofread", Plan(1.5e-3, dropout=0.05)),
}
"""What the pack's adapters were chosen from: 24 slots at any time, 128 million tokens in 615 seconds on an H200.

Chosen on valid rows: of sql the mean of both variants' means, of shell, banking and describe the end of `shell-b`,
`banking-b` and `describe-a`, of extract and actions the mean of `b`, of the others the mean of `a`.
"""


def turn(role: str, text: str) -> str:
    """A turn as SmolLM2's chat template renders it."""
    return f"<|im_start|>{role}\n{text}<|im_end|>\n"


def tokenizer_of(path: Path) -> Callable[[str], list[int]]:
    """What turns text into tokens; names of control tokens become those."""
    tokenizer = Tokenizer.from_file(str(path))
    return lambda text: list(tokenizer.encode(text, add_special_tokens=False).ids)


class Batches(IterableDataset):  # type: ignore[misc]
    """A variant's endless batches, made in a process of their own."""

    def __init__(self, folder: Path, tokenizer: Path, variant: Variant, seed: int, rows: int) -> None:
        self._folder, self._tokenizer, self._variant, self._seed, self._rows = folder, tokenizer, variant, seed, rows

    def __iter__(self) -> Iterator[Batch]:
        tokenize = tokenizer_of(self._tokenizer)
        rows = smollm2_data.endless(self._folder, self._variant.task, self._seed)
        examples = (FRAME.example(row.message, row.answer, tokenize) for row in rows)
        return batches(examples, self._rows, LENGTH, random.Random(self._seed), self._variant.brevity)


def prefixes(folder: Path, tokenize: Callable[[str], list[int]], seed: int = 0) -> Iterator[list[int]]:
    """What stands before each step's rows: the default system prompt, or a conversation."""
    rng = random.Random(f"prefixes-{seed}")
    earlier = [row for task in smollm2_data.TASKS for row in smollm2_data.training_rows(folder, task, rng)[:1500]]
    plain = tokenize(turn("system", SYSTEM))
    while True:
        if rng.random() >= CONVERSATION_SHARE:
            yield plain
            continue
        turns = smollm2_data.conversation(earlier, rng)
        if turns[0][0] != "system":
            turns.insert(0, ("system", SYSTEM))
        tokens = tokenize("".join(turn(role, text) for role, text in turns))
        if len(tokens) <= LONGEST_PREFIX:
            yield tokens


def exact(
    backbone: Backbone, bank: AdapterBank, folder: Path, tokenizer: Path, names: list[str], count: int
) -> dict[str, float]:
    """How many of `count` valid rows, in percent, each variant answers exactly as the data has it."""
    whole, tokenize = Tokenizer.from_file(str(tokenizer)), tokenizer_of(tokenizer)
    (end,) = tokenize(FRAME.end)
    shares = {}
    for name in names:
        rows = smollm2_data.valid_rows(folder, VARIANTS[name].task)
        rows = random.Random(0).sample(rows, min(count, len(rows)))
        prompts = {name: [FRAME.prompt(row.message, tokenize) for row in rows]}
        answered = answers(backbone, bank, prompts, tokenize(turn("system", SYSTEM)), end, 160)[name]
        right = [
            whole.decode(tokens, skip_special_tokens=False).strip() == row.answer.strip()
            for tokens, row in zip(answered, rows, strict=True)
        ]
        shares[name] = 100 * sum(right) / len(right)
    return shares


def store(bank: AdapterBank, folder: Path, invocation: list[int], tensors: dict[str, Any] | None = None) -> None:
    """Writes every variant as a PEFT folder."""
    for name in bank.names:
        bank.save(name, folder / name, invocation, tensors)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "variants",
        nargs="*",
        metavar="VARIANT",
        help=f"of {', '.join(VARIANTS)}, all the time; none: all of them, each in its share of it",
    )
    parser.add_argument("--data", type=Path, required=True, help="folder of the data sets")
    parser.add_argument("--backbone", type=Path, required=True, help="the GGUF that the adapters will run on")
    parser.add_argument("--tokenizer", type=Path, required=True, help="its tokenizer.json")
    parser.add_argument("--out", type=Path, default=Path("build/smollm2"))
    parser.add_argument("--start", type=Path, help="folder of PEFT folders to go on from, by task")
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--rows", type=int, default=ROWS, help=f"rows of {LENGTH} tokens in a slot's batch")
    parser.add_argument("--valid", type=int, default=0, help="valid rows to answer at the end")
    parser.add_argument("--save-every", type=float, default=60, help="seconds between checkpoints")
    args = parser.parse_args()
    if unknown := set(args.variants) - set(VARIANTS):
        parser.error(f"no such variant: {', '.join(sorted(unknown))}; there are {', '.join(VARIANTS)}")
    names = args.variants or list(VARIANTS)
    args.out.mkdir(parents=True, exist_ok=True)
    streams = {  # their processes start before CUDA does
        name: iter(
            DataLoader(
                Batches(args.data, args.tokenizer, VARIANTS[name], i, args.rows),
                batch_size=None,
                num_workers=1,
                prefetch_factor=48 * VARIANTS[name].plan.slots,
            )
        )
        for i, name in enumerate(names)
    }
    cuda = torch.cuda.is_available()
    backbone = Backbone(args.backbone, "cuda" if cuda else "cpu", torch.bfloat16 if cuda else torch.float32)
    bank = AdapterBank(names, backbone.shape, RANK, backbone.device)
    for i, name in enumerate(names):
        folder = args.start / VARIANTS[name].task if args.start else None
        if folder is not None and folder.exists():
            bank.load(name, folder)
        else:
            bank.start(name, VARIANTS[name].rank, i)
    if cuda:
        backbone.compile()
    tokenize = tokenizer_of(args.tokenizer)
    plans = {name: VARIANTS[name].plan for name in names}
    if args.variants:  # they do not wait for the others' turn
        plans = {name: replace(plan, begin=0.0, end=1.0) for name, plan in plans.items()}
    before = prefixes(args.data, tokenize)
    trainer = Trainer(backbone, bank, plans, streams, before, Budget(seconds=args.seconds))
    checkpoint = args.out / "checkpoint.pt"
    if checkpoint.exists():
        trainer.restore(checkpoint)
    saved = logged = trainer.progress().seconds
    while trainer.step():
        seconds = trainer.seconds
        if seconds - logged > 20:
            progress, logged = trainer.progress(), seconds
            losses = " ".join(f"{name} {loss:.3f}" for name, loss in progress.losses.items())
            print(f"{progress.share:.1%} step {progress.steps}, {progress.tokens:,} tokens: {losses}", flush=True)
        if seconds - saved > args.save_every:
            trainer.save(checkpoint)
            saved = seconds
    trainer.save(checkpoint)
    invocation = tokenize(FRAME.before)
    store(bank, args.out / "last", invocation)
    store(bank, args.out / "mean", invocation, trainer.optimizer.mean)
    if args.valid:
        shares = exact(backbone, bank, args.data, args.tokenizer, names, args.valid)
        (args.out / "valid.json").write_text(json.dumps(shares, indent=1), "utf-8")
        print(json.dumps(shares, indent=1))


if __name__ == "__main__":
    main()
