"""Greedy answers of several adapters at once, to see what a training reached."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from tools.side_by_side.adapters import AdapterBank
from tools.side_by_side.backbone import Backbone

Tensor = Any


@torch.no_grad()  # type: ignore[untyped-decorator]
def answers(
    backbone: Backbone,
    bank: AdapterBank,
    prompts: Mapping[str, Sequence[Sequence[int]]],
    prefix: Sequence[int],
    end: int,
    most: int = 96,
) -> dict[str, list[list[int]]]:
    """The tokens that each adapter answers its prompts with, up to `end` (left out) or `most` of them.

    `prompts` by adapter: a user's turn each, after `prefix`.
    """
    names = [name for name, some in prompts.items() if some]
    each = max(len(prompts[name]) for name in names)
    rows = [prompt for name in names for prompt in (*prompts[name], *[[end]] * (each - len(prompts[name])))]
    device, length, early = backbone.device, max(map(len, rows)), backbone.prefix(prefix)
    start = len(prefix)
    total = start + length + most
    shape = backbone.shape
    lows = bank.slots(torch.tensor([bank.names.index(name) for name in names], device=device), backbone.dtype)
    cache = torch.zeros(
        2, shape.layers, len(rows), shape.kv_heads, total, shape.head, dtype=backbone.dtype, device=device
    )
    for i, (k, v) in enumerate(early):
        cache[0, i, :, :, :start], cache[1, i, :, :, :start] = k, v
    ids = torch.tensor([[*row, *[end] * (length - len(row))] for row in rows], device=device)
    columns = torch.arange(total, device=device)

    def forward(tokens: Tensor, positions: Tensor, visible: Tensor) -> Tensor:
        """Hidden numbers of `tokens` (R, L) that lie at `positions` (R, L), where `visible` (R, L, total) is seen."""
        bias = torch.zeros(visible.shape, dtype=backbone.dtype, device=device).masked_fill_(~visible, -torch.inf)
        at = positions[:, None, :, None].expand(-1, shape.kv_heads, -1, shape.head)

        def attention(i: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
            cache[0, i].scatter_(2, at, k)
            cache[1, i].scatter_(2, at, v)
            grouped = q.unflatten(1, (shape.kv_heads, -1)).flatten(2, 3)
            scores = grouped @ cache[0, i].mT * shape.head**-0.5
            scores = scores.unflatten(2, (-1, q.shape[2])) + bias[:, None, None]
            return (scores.softmax(-1).flatten(2, 3) @ cache[1, i]).unflatten(2, (-1, q.shape[2])).flatten(1, 2)

        return backbone.hidden(tokens, positions, attention, lows, None, len(names))

    positions = start + torch.arange(length, device=device).expand(len(rows), -1)
    hidden = forward(ids, positions, columns <= positions[..., None])
    at = torch.tensor([len(row) - 1 for row in rows], device=device)
    hidden = hidden[torch.arange(len(rows), device=device), at]
    generated, done = [], torch.zeros(len(rows), dtype=torch.bool, device=device)
    for count in range(most):
        token = backbone.logits(hidden).argmax(-1)
        generated.append(token)
        done |= token == end
        if count % 8 == 7 and bool(done.all()):
            break
        at = at + 1
        positions = (start + at)[:, None]
        hidden = forward(token[:, None], positions, columns <= positions[..., None])[:, 0]
    tokens = torch.stack(generated, 1).tolist()
    cut = [row[: row.index(end)] if end in row else row for row in tokens]
    return {name: cut[i * each : i * each + len(prompts[name])] for i, name in enumerate(names)}
