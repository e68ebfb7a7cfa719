"""Greedy answers of several adapters at once."""

import pytest

torch = pytest.importorskip("torch", reason="needs the train extra")

from tools.side_by_side.backbone import after_prefix  # noqa: E402
from tools.side_by_side.data import attention_bias  # noqa: E402
from tools.side_by_side.decode import answers  # noqa: E402

PREFIX, END = [5, 9, 11], 2


def one_by_one(backbone, bank, name, prompt, most):
    """The answer, everything computed anew for each token."""
    lows = bank.slots(torch.tensor([bank.names.index(name)]), torch.float32)
    tokens = list(prompt)
    for _ in range(most):
        length = len(tokens)
        bias = attention_bias(torch.zeros(1, length, dtype=torch.int64), len(PREFIX), 0, torch.float32)
        positions = (len(PREFIX) + torch.arange(length))[None]
        with torch.no_grad():
            hidden = backbone.hidden(
                torch.tensor([tokens]), positions, after_prefix(backbone.prefix(PREFIX), bias), lows
            )
        token = int(backbone.logits(hidden[0, -1]).argmax())
        if token == END:
            break
        tokens.append(token)
    return tokens[len(prompt) :]


def test_prompts_of_different_lengths_are_answered_as_each_would_be_alone(backbone, bank):
    prompts = {"one": [[1, 40, 41], [1, 7, 8, 9, 60, 61]], "two": [[1, 40, 41]]}
    given = answers(backbone, bank, prompts, PREFIX, END, most=9)
    for name, some in prompts.items():
        assert given[name] == [one_by_one(backbone, bank, name, prompt, 9) for prompt in some]
