"""Trains the bundled backbone: a byte-level BPE tokenizer and a Llama-architecture model of 7.5 M parameters.

    python -m tools.train_backbone --data DATA --out build/backbone

Writes `tokenizer.json`, then checkpoints, then a transformers model folder. Started again, it goes on from the last
checkpoint.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections import Counter
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import torch
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from dlp_local.core.files import written_aside
from tools import backbone_text
from tools.frame import CHAT_TEMPLATE, END, SPECIAL_TOKENS

WORD_SPLITS = (r"[\r\n]", r"\s?\p{L}+", r"\s?\p{P}+", "[一-龥ࠀ-一가-\ud7ff]+", r"\p{N}")
"""The pre-tokenizer that GGUF calls `deepseek-coder`: words and runs of punctuation, each with the space before it,
and every digit alone."""

SPACED_SHARE = 0.3
"""Share of the vocabulary that is a piece of a word with the space before it."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything that decides the result of a training run."""

    vocab: int = 4096
    hidden: int = 256
    layers: int = 8
    heads: int = 4
    kv_heads: int = 4
    ffn: int = 704
    short: int = 256
    context: int = 1024
    long_every: int = 6
    """One step in so many has blocks of the whole context's length, the others of `short`."""
    tokens_per_step: int = 4096
    steps: int = 4000
    lr: float = 2e-3
    weight_decay: float = 0.1
    warmup: int = 100
    seed: int = 0


def _splits(patterns: tuple[str, ...]) -> pre_tokenizers.PreTokenizer:
    splits = [pre_tokenizers.Split(Regex(pattern), behavior="isolated") for pattern in patterns]
    return pre_tokenizers.Sequence([*splits, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])


def train_tokenizer(texts: list[str], vocab: int) -> Tokenizer:
    """A byte-level BPE tokenizer of at most `vocab` entries, the special tokens first.

    A word falls into the same pieces wherever it stands: merges are learnt on words without the space before them, and
    only then are the most frequent first pieces merged with that space. `= 'South Australia'` copies ` South Australia`
    with all pieces but the first unchanged, which is what makes copying learnable for a small model.
    """
    trainer = trainers.BpeTrainer(
        vocab_size=round(vocab * (1 - SPACED_SHARE)),
        special_tokens=list(SPECIAL_TOKENS),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    bare = Tokenizer(models.BPE())
    bare.pre_tokenizer = _splits((r"[\r\n]", r"\s", *(split.removeprefix(r"\s?") for split in WORD_SPLITS[1:])))
    bare.train_from_iterator(texts, trainer)
    model = json.loads(bare.to_str())["model"]
    space, newline = "\u0120", "\u010a"
    spaced: Counter[str] = Counter()
    for encoding in bare.encode_batch(texts):
        spaced.update(after for before, after in pairwise(encoding.tokens) if before == space)
    entries, merges = dict(model["vocab"]), [tuple(merge) for merge in model["merges"]]
    for piece, _ in spaced.most_common():
        if len(entries) == vocab:
            break
        if not piece[0].isdigit() and piece[0] not in (space, newline) and piece not in SPECIAL_TOKENS:
            entries[space + piece] = len(entries)
            merges.append((space, piece))
    tokenizer = Tokenizer(models.BPE(entries, merges))
    tokenizer.add_special_tokens(list(SPECIAL_TOKENS))
    tokenizer.pre_tokenizer = _splits(WORD_SPLITS)
    tokenizer.decoder = decoders.ByteLevel()
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


def make_optimizer(model: LlamaForCausalLM, plan: Plan) -> torch.optim.AdamW:
    """AdamW, with weight decay on the matrices alone."""
    groups = [
        {"params": [p for p in model.parameters() if p.ndim == 2], "weight_decay": plan.weight_decay},
        {"params": [p for p in model.parameters() if p.ndim < 2], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=plan.lr, betas=(0.9, 0.95), fused=True)


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
    short, long = pack(encoded, plan.short), pack(encoded, plan.context)

    model = build_model(replace(plan, vocab=tokenizer.get_vocab_size()))
    print(f"{sum(p.numel() for p in model.parameters()) / 1e6:.2f} M parameters")
    optimizer = make_optimizer(model, plan)
    checkpoint = out / "checkpoint.pt"
    first = 0
    if checkpoint.exists():
        state = torch.load(checkpoint, weights_only=True)
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        first = state["step"]
        print(f"going on from step {first}")

    model.train()
    started, losses = time.monotonic(), []
    for step in range(first, plan.steps):
        blocks = long if (step + 1) % plan.long_every == 0 else short
        size = plan.tokens_per_step // blocks.shape[1]
        choice = torch.Generator().manual_seed(plan.seed * 1_000_003 + step * size // len(blocks))
        order = torch.randperm(len(blocks), generator=choice)
        at = step * size % len(blocks)
        batch = blocks[order[at : at + size]]
        for group in optimizer.param_groups:
            group["lr"] = plan.lr * learning_rate(step, plan)
        with torch.autocast("cpu", torch.bfloat16):
            logits = model(batch).logits
        loss = torch.nn.functional.cross_entropy(logits[:, :-1].float().flatten(0, 1), batch[:, 1:].flatten())
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
        if (step + 1) % log_every == 0:
            speed = (step + 1 - first) * plan.tokens_per_step / (time.monotonic() - started)
            mean = sum(losses[-log_every:]) / log_every
            print(f"step {step + 1}/{plan.steps} loss {mean:.3f} {speed:,.0f} tokens/s", flush=True)
        if (step + 1) % save_every == 0 or step + 1 == plan.steps:
            state = {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "step": step + 1}
            with written_aside(checkpoint) as part:
                torch.save(state, part)
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
