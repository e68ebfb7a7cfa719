"""Whether the backbone in torch is the one that llama.cpp runs: the same prompts give the same next tokens."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from dlp_local.assistant import Assistant
from dlp_local.core.answer_format import AnswerFormat
from dlp_local.core.errors import PackError
from dlp_local.core.events import TokenScore, TokenScores
from dlp_local.core.values import Mix
from dlp_local.training.adapter.batches import Example, batch
from dlp_local.training.adapter.encoding import RowEncoder
from dlp_local.training.adapter.judging import greedy_reply
from dlp_local.training.adapter.rows import TrainingRow

if TYPE_CHECKING:
    from dlp_local.training.adapter.backbone import Backbone

TOLERANCE = 0.5
"""How far log probabilities of the most probable tokens may differ, in the mean: llama.cpp rounds what it multiplies
quantized weights with to 8 bits (0.03 with SmolLM2 in Q4_1); another model, or another order of weights, is 3 and
more."""

FAR = 20.0
"""What a token counts that is not near here."""

COMPARED = 5
"""The most probable tokens that are compared."""


def check_logits(
    backbone: Backbone,
    assistant: Assistant,
    encoder: RowEncoder,
    rows: Sequence[TrainingRow],
    system: str | None = None,
) -> float:
    """The mean difference of log probabilities after some rows' prompts; raises `PackError` where it is too large."""
    import torch

    differences: list[float] = []
    examples = [encoder.encode(row) for row in rows]
    asked = [Example(one.prefix, one.tokens[: one.answer_at + 1], one.answer_at) for one in examples]
    with torch.no_grad():
        logits, _, _ = backbone.learned_logits(batch([asked]))
    ours = torch.log_softmax(logits, -1)
    for row, of_row in zip(rows, ours, strict=True):
        near = of_row.topk(4 * COMPARED).indices.tolist()
        for theirs in _first_token_scores(assistant, row, system):
            found = [float(of_row[token]) for token in near if _bytes(encoder, token) == theirs.token]
            differences.append(min((abs(one - theirs.logprob) for one in found), default=FAR))
    mean = sum(differences) / max(len(differences), 1)
    if mean > TOLERANCE:
        raise PackError(
            f"{backbone.path}: is not computed here as llama.cpp computes it (log probabilities differ by {mean:.2f}). "
            "Nothing is trained on it. Use another backbone, or another version of transformers."
        )
    return mean


def _first_token_scores(assistant: Assistant, row: TrainingRow, system: str | None) -> tuple[TokenScore, ...]:
    """What the bare backbone would begin its answer with; nothing where that is no text."""
    events = greedy_reply(assistant, row, Mix(), 1, system, AnswerFormat(logprobs=COMPARED))
    scores = [event for event in events if isinstance(event, TokenScores)]
    return scores[0].best if scores else ()


def _bytes(encoder: RowEncoder, token: int) -> bytes:
    vocabulary = encoder.vocabulary
    return vocabulary.piece(token) or vocabulary.name(token).encode()
