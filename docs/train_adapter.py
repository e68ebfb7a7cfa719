"""Trains a LoRA for a chat model with PEFT, on rows {"prompt": …, "answer": …}, one a line (docs/guide.md).

    python docs/train_adapter.py sql.jsonl sql-lora --model Qwen/Qwen2.5-1.5B-Instruct

The loss counts the answer's tokens alone. Needs torch, transformers and peft; dlp-local itself needs none of them.
"""

import argparse
import json
import random
from pathlib import Path

import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM, AutoTokenizer

IGNORED = -100
"""Label of a position that the loss leaves out."""


def example(tokenizer, row, longest):
    """The tokens of one row as the model's chat template frames it, and where its answer begins."""
    asked = [{"role": "user", "content": row["prompt"]}]
    frame = {"tokenize": False}
    prompt = tokenizer.apply_chat_template(asked, add_generation_prompt=True, **frame)
    whole = tokenizer.apply_chat_template([*asked, {"role": "assistant", "content": row["answer"]}], **frame)
    begin = tokenizer(prompt, add_special_tokens=False).input_ids
    answer = tokenizer(whole[len(prompt) :], add_special_tokens=False).input_ids
    return (begin + answer)[:longest], len(begin)


def batch(examples, pad, device):
    """Token ids, attention mask and labels, each (rows, length), padded on the right."""
    length = max(len(ids) for ids, _ in examples)
    ids = torch.full((len(examples), length), pad)
    mask, labels = torch.zeros_like(ids), torch.full_like(ids, IGNORED)
    for i, (tokens, answer_at) in enumerate(examples):
        ids[i, : len(tokens)] = torch.tensor(tokens)
        mask[i, : len(tokens)] = 1
        labels[i, answer_at : len(tokens)] = ids[i, answer_at : len(tokens)]
    return {"input_ids": ids.to(device), "attention_mask": mask.to(device), "labels": labels.to(device)}


def main():
    """Trains, and saves the PEFT folder."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rows", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--model", default="Qwen/Qwen2.5-1.5B-Instruct")
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--rank", type=int, default=16)
    parser.add_argument("--lr", type=float, default=2e-4)
    parser.add_argument("--longest", type=int, default=1024, help="tokens of a row; the rest is cut off")
    options = parser.parse_args()

    device = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    tokenizer = AutoTokenizer.from_pretrained(options.model)
    model = AutoModelForCausalLM.from_pretrained(options.model, dtype=torch.bfloat16 if device == "cuda" else None)
    lora = LoraConfig(
        task_type="CAUSAL_LM", r=options.rank, lora_alpha=2 * options.rank, lora_dropout=0.05,
        target_modules="all-linear",
    )  # fmt: skip
    model = get_peft_model(model, lora).to(device).train()
    lines = options.rows.read_text("utf-8").splitlines()
    examples = [example(tokenizer, json.loads(line), options.longest) for line in lines if line.strip()]
    batches = [range(i, min(i + options.batch, len(examples))) for i in range(0, len(examples), options.batch)]
    steps = options.epochs * len(batches)
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=options.lr)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, options.lr, total_steps=steps, pct_start=0.1)
    shuffle = random.Random(0)
    for epoch in range(options.epochs):
        shuffle.shuffle(examples)
        total = 0.0
        for rows in batches:
            loss = model(**batch([examples[i] for i in rows], tokenizer.pad_token_id or 0, device)).loss
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            optimizer.zero_grad()
            total += loss.item()
        print(f"epoch {epoch + 1}: loss {total / len(batches):.3f}", flush=True)
    model.save_pretrained(options.out)


if __name__ == "__main__":
    main()
