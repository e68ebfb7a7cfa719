"""The peer of a training: transformers and PEFT as their documentation has them, on the same rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path


def plain_epoch(path: Path, rows: Sequence[tuple[int, ...]], answers: Sequence[int], size: int) -> Callable[[], None]:
    """An epoch of transformers and PEFT: rows of `size` padded to a batch, the whole prompt computed under LoRA."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(path.parent, gguf_file=path.name, dtype=torch.float32)
    model = get_peft_model(model, LoraConfig(r=8, lora_alpha=16, target_modules="all-linear"))
    optimizer = torch.optim.AdamW((p for p in model.parameters() if p.requires_grad), lr=1e-4)

    def epoch() -> None:
        for start in range(0, len(rows), size):
            group = rows[start : start + size]
            longest = max(map(len, group))
            ids = torch.tensor([[*row, *[0] * (longest - len(row))] for row in group])
            seen = torch.tensor([[1] * len(row) + [0] * (longest - len(row)) for row in group])
            labels = ids.masked_fill(seen == 0, -100)
            for label, answer_at in zip(labels, answers[start : start + size], strict=True):
                label[:answer_at] = -100
            model(input_ids=ids, attention_mask=seen, labels=labels).loss.backward()
            optimizer.step()
            optimizer.zero_grad()

    return epoch
