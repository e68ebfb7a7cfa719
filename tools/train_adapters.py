"""Trains the bundled adapters: one LoRA (rank 16, all seven weights of a layer) for each task.

    python -m tools.train_adapters --data DATA --backbone build/backbone --out build/adapters [TASK …]

They are trained the way they run (Activated LoRA, arXiv 2512.17910; PEFT's `alora_invocation_tokens`): earlier turns
are computed by the bare backbone, the adapter is on from the `<|user|>` of the last turn. A share of the rows stands
after random earlier turns of any task. Some train twice: the second training goes on from the first one's result, and
the adapter is a mean of both (`Second`). Started again, a task goes on from its last checkpoint, and a finished one is
kept.
"""

from __future__ import annotations

import argparse
import math
import random
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, PeftModel, get_peft_model, get_peft_model_state_dict, set_peft_model_state_dict
from peft.tuners.lora.layer import Linear as LoraLinear
from tokenizers import Tokenizer
from transformers import LlamaForCausalLM

from dlp_local.core.files import written_aside
from tools import data, small_talk
from tools.frame import ASSISTANT, END, USER, render

TARGETS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
IGNORED = -100
"""Label of a position that the loss leaves out."""

Tensors = dict[str, torch.Tensor]


@dataclass(frozen=True, slots=True)
class Second:
    """A second training, from the result of the first one, on rows in another order.

    The adapter is (1 - share)·first + share·mean of the weights after each step of the second one's latter half (model
    soups, Wortsman et al. 2022, arXiv 2203.05482). Valid rows of `shell`: NLL 1.731 → 1.698, right 11.8 → 12.1 %; the
    second one's end alone has 1.699 and 11.2 %.
    """

    steps: int
    lr: float
    share: float


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything that decides the result of one adapter's training."""

    steps: int
    dropout: float = 0.0
    batch: int = 32
    rank: int = 16
    alpha: int = 32
    lr: float = 3e-3
    weight_decay: float = 0.01
    history_share: float = 0.07
    brevity: float = 0.0
    """A token weighs its answer's length to minus this power: 0 counts tokens alike, 1 answers."""
    gain: float = 1.0
    """The first training's strength, before a second one, over the trained one; chosen on valid rows."""
    second: Second | None = None
    seed: int = 0


PLANS = {
    "shell": Plan(steps=10500, dropout=0.1, brevity=0.7, gain=1.1, second=Second(steps=3000, lr=1.2e-3, share=0.4)),
    "sql": Plan(steps=5600),
    "describe": Plan(steps=350, dropout=0.05),
    "extract": Plan(steps=2400, dropout=0.1),
    "banking": Plan(steps=2000, dropout=0.2, weight_decay=0.1),
    "dates": Plan(steps=1000),
}


class Examples:
    """Endless training batches of one task, reworded in every pass."""

    def __init__(self, folder: Path, task: str, tokenizer: Tokenizer, plan: Plan) -> None:
        self._folder, self._task, self._tokenizer, self._plan = folder, task, tokenizer, plan
        self._rng = random.Random(f"adapter-{task}-{plan.seed}")
        self._earlier = [row for name in data.TASKS for row in data.training_rows(folder, name, self._rng)[:4000]]

    def _ids(self, text: str) -> list[int]:
        return self._tokenizer.encode(text).ids

    def _history(self) -> str:
        turns: list[tuple[str, str]] = []
        if self._rng.random() < 0.2:
            turns.append(("system", small_talk.system_prompt(self._rng)))
        for _ in range(self._rng.choice([0, 1, 1, 2])):
            if self._rng.random() < 0.3:
                message, answer = small_talk.own_pair(self._rng)
            else:
                row = self._rng.choice(self._earlier)
                message, answer = row.message, row.answer
            turns += [("user", message), ("assistant", answer)]
        return render(turns)

    def _example(self, row: data.Row) -> tuple[list[int], list[int]]:
        """(input ids, labels) of one row; only the answer and its end are learnt."""
        history = self._history() if self._rng.random() < self._plan.history_share else ""
        prompt = self._ids(f"{history}{USER}{row.message}{END}{ASSISTANT}")
        answer = self._ids(row.answer + END)
        return prompt + answer, [IGNORED] * len(prompt) + answer

    def batches(self) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """Yields (input_ids, labels), both int64 (batch, length), padded at the right; batches hold similar lengths."""
        while True:
            rows = data.training_rows(self._folder, self._task, self._rng)
            size, pool = self._plan.batch, 40 * self._plan.batch
            for start in range(0, len(rows) - size + 1, pool):
                examples = sorted(map(self._example, rows[start : start + pool]), key=lambda pair: len(pair[0]))
                groups = [examples[i : i + size] for i in range(0, len(examples) - size + 1, size)]
                self._rng.shuffle(groups)
                yield from map(_pad, groups)


def _pad(group: list[tuple[list[int], list[int]]]) -> tuple[torch.Tensor, torch.Tensor]:
    length = max(len(ids) for ids, _ in group)
    ids = torch.tensor([ids + [0] * (length - len(ids)) for ids, _ in group])
    labels = torch.tensor([labels + [IGNORED] * (length - len(labels)) for _, labels in group])
    return ids, labels


def _activated_forward(
    module: Any, x: torch.Tensor, *args: Any, alora_offsets: list[int | None] | None = None, **kwargs: Any
) -> torch.Tensor:
    """The forward pass of PEFT's LoRA layer as an activated LoRA: the same numbers, faster on a CPU.

    `x` (batch, length, inputs) → (batch, length, outputs). `alora_offsets` counts, from the end of each row, the
    positions at which the adapter is on (None: nowhere). Where it is on everywhere, W + s·B·A is one matrix; else a
    mask takes the place of PEFT's gathers.
    """
    base = module.base_layer
    if alora_offsets is None or module.disable_adapters:
        result: torch.Tensor = base(x)
        return result
    (name,) = module.active_adapters
    a, b, dropout = module.lora_A[name], module.lora_B[name], module.lora_dropout[name]
    length = x.shape[1]
    starts = torch.tensor([length - min(offset or 0, length) for offset in alora_offsets])
    if not starts.any() and isinstance(dropout, torch.nn.Identity):
        return torch.nn.functional.linear(x, base.weight + module.scaling[name] * (b.weight @ a.weight))
    delta: torch.Tensor = b(a(dropout(x))) * module.scaling[name]
    if starts.any():
        delta = delta * (torch.arange(length) >= starts[:, None])[..., None]
    return delta + base(x)


def add_adapter(backbone: LlamaForCausalLM, invocation: list[int], plan: Plan) -> PeftModel:
    """The backbone with a fresh adapter that is on from the last `invocation` tokens."""
    torch.manual_seed(plan.seed)
    config = LoraConfig(
        r=plan.rank,
        lora_alpha=plan.alpha,
        lora_dropout=plan.dropout,
        target_modules=list(TARGETS),
        task_type="CAUSAL_LM",
        alora_invocation_tokens=invocation,
    )
    return get_peft_model(backbone, config)


def learning_rate(step: int, plan: Plan) -> float:
    """The share of the peak rate at a step: linear warm-up over 3 %, then a cosine to 0."""
    warmup = max(1, plan.steps * 3 // 100)
    if step < warmup:
        return (step + 1) / warmup
    return 0.5 * (1 + math.cos(math.pi * (step - warmup) / (plan.steps - warmup)))


class Mean:
    """The mean of tensors over several moments."""

    def __init__(self) -> None:
        self.count = 0
        self.tensors: Tensors = {}

    def add(self, tensors: Tensors) -> None:
        """Takes another moment in."""
        self.count += 1
        for name, tensor in tensors.items():
            self.tensors.setdefault(name, torch.zeros_like(tensor)).lerp_(tensor, 1 / self.count)


def _strengthen(model: PeftModel, gain: float) -> None:
    model.peft_config["default"].lora_alpha *= gain
    for module in model.modules():
        if isinstance(module, LoraLinear):
            module.scaling["default"] *= gain


def _weights(model: PeftModel) -> Tensors:
    return {name: tensor.detach().clone() for name, tensor in get_peft_model_state_dict(model).items()}


def _loss(model: PeftModel, ids: torch.Tensor, labels: torch.Tensor, brevity: float) -> torch.Tensor:
    """The mean cross-entropy of the answers' tokens of a batch."""
    picked = labels[:, 1:] != IGNORED
    columns = picked.any(dim=0).nonzero().flatten()
    with torch.autocast("cpu", torch.bfloat16):
        logits = model(input_ids=ids, logits_to_keep=columns).logits
    kept = picked[:, columns]
    of_tokens = torch.nn.functional.cross_entropy(
        logits[kept].float(), labels[:, 1:][:, columns][kept], reduction="none"
    )
    weights = kept.sum(dim=1, keepdim=True).expand_as(kept)[kept] ** -brevity
    return (of_tokens * weights).sum() / weights.sum()


def fit(
    model: PeftModel, examples: Examples, plan: Plan, checkpoint: Path, save_every: int = 300, log_every: int = 100
) -> Mean:
    """Trains a model's adapter, going on from a checkpoint; the mean of its weights in the latter half of the steps."""
    parameters = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(parameters, lr=plan.lr, weight_decay=plan.weight_decay, betas=(0.9, 0.98))
    batches, mean, first = examples.batches(), Mean(), 0
    if checkpoint.exists():
        state = torch.load(checkpoint, weights_only=True)
        set_peft_model_state_dict(model, state["model"])
        optimizer.load_state_dict(state["optimizer"])
        first, mean.count, mean.tensors = state["step"], state["averaged"], state["mean"]
        print(f"{checkpoint.stem}: going on from step {first}")
        for _ in range(first if first < plan.steps else 0):
            next(batches)
    model.train()
    started, tokens, losses = time.monotonic(), 0, []
    for step in range(first, plan.steps):
        ids, labels = next(batches)
        for group in optimizer.param_groups:
            group["lr"] = plan.lr * learning_rate(step, plan)
        loss = _loss(model, ids, labels, plan.brevity)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        optimizer.zero_grad()
        if step >= plan.steps // 2:
            mean.add(get_peft_model_state_dict(model))
        tokens += ids.numel()
        losses.append(loss.item())
        if (step + 1) % log_every == 0:
            speed = tokens / (time.monotonic() - started)
            average = sum(losses[-log_every:]) / log_every
            print(
                f"{checkpoint.stem}: step {step + 1}/{plan.steps} loss {average:.4f} {speed:,.0f} tokens/s", flush=True
            )
        if (step + 1) % save_every == 0 or step + 1 == plan.steps:
            state = {"model": get_peft_model_state_dict(model), "optimizer": optimizer.state_dict(), "step": step + 1}
            with written_aside(checkpoint) as part:
                torch.save(state | {"averaged": mean.count, "mean": mean.tensors}, part)
    return mean


def train(folder: Path, backbone: Path, out: Path, task: str, plan: Plan) -> None:
    """Trains one adapter into `out/task` (a PEFT folder)."""
    final = out / task
    if (final / "adapter_model.safetensors").exists():
        print(f"{task}: already trained")
        return
    out.mkdir(parents=True, exist_ok=True)
    tokenizer = Tokenizer.from_file(str(backbone / "tokenizer.json"))
    model = add_adapter(LlamaForCausalLM.from_pretrained(backbone), tokenizer.encode(USER).ids, plan)
    LoraLinear.forward = _activated_forward
    fit(model, Examples(folder, task, tokenizer, plan), plan, out / f"{task}.pt")
    _strengthen(model, plan.gain)
    if plan.second:
        before = _weights(model)
        again = replace(plan, steps=plan.second.steps, lr=plan.second.lr, seed=plan.seed + 1)
        mean = fit(model, Examples(folder, task, tokenizer, again), again, out / f"{task}-second.pt").tensors
        share = plan.second.share
        set_peft_model_state_dict(model, {name: before[name].lerp(mean[name], share) for name in before})
    aside = out / f"{task}.part"
    model.save_pretrained(aside)
    shutil.rmtree(final, ignore_errors=True)
    aside.rename(final)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tasks", nargs="*", metavar="TASK", help=f"of {', '.join(PLANS)}; none: all of them")
    parser.add_argument("--data", type=Path, required=True, help="folder of the data sets")
    parser.add_argument("--backbone", type=Path, default=Path("build/backbone"))
    parser.add_argument("--out", type=Path, default=Path("build/adapters"))
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    args = parser.parse_args()
    if unknown := set(args.tasks) - set(PLANS):
        parser.error(f"no such task: {', '.join(sorted(unknown))}; there are {', '.join(PLANS)}")
    torch.set_num_threads(args.threads)
    for task in args.tasks or PLANS:
        train(args.data, args.backbone, args.out, task, PLANS[task])


if __name__ == "__main__":
    main()
