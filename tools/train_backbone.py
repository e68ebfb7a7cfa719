"""Trains the bundled backbone: a byte-level BPE tokenizer and a Llama-architecture model of 7.6 M parameters.

    python -m tools.train_backbone --data DATA --out build/backbone

Writes `tokenizer.json`, then checkpoints, then a transformers model folder. Started again, it goes on from the last
checkpoint. Hidden matrices are trained by Muon (Jordan et al. 2024, torch.optim.Muon), embeddings and norms by AdamW.
"""

from __future__ import annotations

import argparse
import math
import os
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from tools import backbone_text
from tools.frame import CHAT_TEMPLATE, END, SPECIAL_TOKENS

QWEN2_SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
"""The pre-tokenizer that GGUF calls `qwen2`: words with the character before them, and every digit alone."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything that decides the result of a training run."""

    vocab: int = 4096
    hidden: int = 320
    layers: int = 6
    heads: int = 10
    kv_heads: int = 5
    ffn: int = 768
    context: int = 1024
    tokens_per_step: int = 4096
    steps: int = 2800
    long_steps: int = 300
    muon_lr: float = 5e-3
    adam_lr: float = 3e-3
    warmup: int = 60
    seed: int = 0


def train_tokenizer(texts: list[str], vocab: int) -> Tokenizer:
    """A byte-level BPE tokenizer of `vocab` entries, the special tokens first."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(QWEN2_SPLIT), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab,
        special_tokens=list(SPECIAL_TOKENS),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def save_tokenizer(tokenizer: Tokenizer, out: Path, context: int) -> None:
    """Writes the tokenizer as transformers reads it, the chat template included."""
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token=END,
        pad_token=END,
        model_max_length=context,
        chat_template=CHAT_TEMPLATE,
    ).save_pretrained(out)


def pack(encoded: list[list[int]], length: int) -> torch.Tensor:
    """Fills blocks of `length` tokens with whole documents; a document that overflows a block is cut there.

    Returns an int64 tensor of shape (blocks, length); every block starts at the start of a document.
    """
    blocks: list[list[int]] = []
    block: list[int] = []
    for ids in encoded:
        block += ids[: length - len(block)]
        if len(block) == length:
            blocks.append(block)
            block = []
    return torch.tensor(blocks)


def build_model(plan: Plan) -> LlamaForCausalLM:
    """The untrained backbone."""
    torch.manual_seed(plan.seed)
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=plan.vocab,
            hidden_size=plan.hidden,
            intermediate_size=plan.ffn,
            num_hidden_layers=plan.layers,
            num_attention_heads=plan.heads,
            num_key_value_heads=plan.kv_heads,
            max_position_embeddings=plan.context,
            tie_word_embeddings=True,
            rms_norm_eps=1e-5,
            bos_token_id=None,
            eos_token_id=0,
            pad_token_id=0,
        )
    )


def learning_rate(step: int, plan: Plan) -> float:
    """The share of the peak rate at a step: linear warm-up, then a cosine down to 2 %."""
    if step < plan.warmup:
        return (step + 1) / plan.warmup
    progress = (step - plan.warmup) / max(1, plan.steps - plan.warmup)
    return 0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * progress))


def optimizers(model: LlamaForCausalLM, plan: Plan) -> list[torch.optim.Optimizer]:
    """Muon for the hidden matrices, AdamW for everything else."""
    named = list(model.named_parameters())
    matrices = [p for name, p in named if p.ndim == 2 and "embed" not in name]
    others = [p for name, p in named if p.ndim < 2 or "embed" in name]
    return [
        torch.optim.Muon(matrices, lr=plan.muon_lr, weight_decay=0.02, adjust_lr_fn="match_rms_adamw"),
        torch.optim.AdamW(others, lr=plan.adam_lr, weight_decay=0.0, betas=(0.9, 0.98)),
    ]


def save_checkpoint(path: Path, state: dict[str, Any]) -> None:
    """Writes a checkpoint aside and renames it, so that a cut never leaves half a file."""
    part = path.with_suffix(".part")
    torch.save(state, part)
    os.replace(part, path)


def train(data: Path, out: Path, plan: Plan, log_every: int = 50, save_every: int = 250) -> None:
    """Trains a backbone into `out`, going on from its checkpoint where there is one."""
    out.mkdir(parents=True, exist_ok=True)
    texts = backbone_text.documents(data, plan.seed)
    if (out / "tokenizer.json").exists():
        tokenizer = Tokenizer.from_file(str(out / "tokenizer.json"))
    else:
        tokenizer = train_tokenizer(texts, plan.vocab)
        save_tokenizer(tokenizer, out, plan.context)
    encoded = [encoding.ids for encoding in tokenizer.encode_batch_fast(texts)]
    total = sum(map(len, encoded))
    print(f"{len(texts):,} documents, {total:,} tokens; one pass is {total / plan.tokens_per_step:.0f} steps")
    short, long = pack(encoded, 256), pack(encoded, plan.context)

    model = build_model(plan)
    print(f"{sum(p.numel() for p in model.parameters()) / 1e6:.2f} M parameters")
    optims = optimizers(model, plan)
    peak = [group["lr"] for optim in optims for group in optim.param_groups]
    checkpoint = out / "checkpoint.pt"
    first = 0
    if checkpoint.exists():
        state = torch.load(checkpoint, weights_only=True)
        model.load_state_dict(state["model"])
        for optim, saved in zip(optims, state["optimizers"], strict=True):
            optim.load_state_dict(saved)
        first = state["step"]
        print(f"going on from step {first}")

    model.train()
    started, losses = time.monotonic(), []
    for step in range(first, plan.steps):
        blocks = long if step >= plan.steps - plan.long_steps else short
        size = plan.tokens_per_step // blocks.shape[1]
        choice = torch.Generator().manual_seed(plan.seed * 1_000_003 + step * size // len(blocks))
        order = torch.randperm(len(blocks), generator=choice)
        at = step * size % len(blocks)
        batch = blocks[order[at : at + size]]
        scale = learning_rate(step, plan)
        for group, lr in zip((g for o in optims for g in o.param_groups), peak, strict=True):
            group["lr"] = lr * scale
        with torch.autocast("cpu", torch.bfloat16):
            logits = model(batch).logits
        loss = torch.nn.functional.cross_entropy(logits[:, :-1].float().flatten(0, 1), batch[:, 1:].flatten())
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for optim in optims:
            optim.step()
            optim.zero_grad()
        losses.append(loss.item())
        if (step + 1) % log_every == 0:
            speed = (step + 1 - first) * plan.tokens_per_step / (time.monotonic() - started)
            mean = sum(losses[-log_every:]) / log_every
            print(f"step {step + 1}/{plan.steps} loss {mean:.3f} {speed:,.0f} tokens/s", flush=True)
        if (step + 1) % save_every == 0 or step + 1 == plan.steps:
            states = [optim.state_dict() for optim in optims]
            save_checkpoint(checkpoint, {"model": model.state_dict(), "optimizers": states, "step": step + 1})
    model.generation_config.eos_token_id = 0
    model.save_pretrained(out)


def main() -> None:
    """The command line."""
    plan = Plan()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of the data sets")
    parser.add_argument("--out", type=Path, default=Path("build/backbone"))
    parser.add_argument("--steps", type=int, default=plan.steps)
    parser.add_argument("--seed", type=int, default=plan.seed)
    args = parser.parse_args()
    train(args.data, args.out, replace(plan, steps=args.steps, seed=args.seed))


if __name__ == "__main__":
    main()
