"""Small trainings of adapters on tiny random backbones."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch

from dlp_local.core.job import Cancellation
from dlp_local.training.adapter.backbone import Backbone
from dlp_local.training.adapter.batches import Example, batch
from dlp_local.training.adapter.choices import Choices
from dlp_local.training.adapter.events import FitProgress
from dlp_local.training.adapter.fit import Fit, Fitted
from dlp_local.training.adapter.methods import make_method
from dlp_local.training.adapter.methods.method import Factors, Method
from tests.support.tiny_models import VOCAB

TOKENS = (5, 17, 80, 33, 33, 2, 60, 11, 94, 7, 41, 29)


def examples(count: int, seed: int = 0, prefix: tuple[int, ...] = ()) -> list[Example]:
    """Rows that can be learnt: five to nine tokens, and an answer of four that the seed alone chooses among three."""
    draw, answers = random.Random(seed), random.Random(seed + 100)
    known = [tuple(answers.randrange(3, VOCAB) for _ in range(4)) for _ in range(3)]
    made = []
    for _ in range(count):
        asked = tuple(draw.randrange(3, VOCAB) for _ in range(draw.randint(5, 9)))
        made.append(Example(prefix, asked + known[asked[0] % 3], len(asked)))
    return made


def some_choices(**given: Any) -> Choices:
    """Choices of a training that takes a moment."""
    return Choices(**{"rank": 4, "alpha": 8.0, "rate": 1e-2, "epochs": 3, "batch_tokens": 40} | given)


def new_method(backbone: Backbone, choices: Choices, tasks: Sequence[str] = ("one",)) -> Method:
    """The method that is chosen, on the CPU."""
    return make_method(choices, backbone.weights, tasks, "cpu")


def drawn_method(backbone: Backbone, choices: Choices, tasks: Sequence[str] = ("one",)) -> Method:
    """A method all of whose parameters are random, those of B, too, so that it does something."""
    method = new_method(backbone, choices, tasks)
    draw = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for tensors in method.groups().values():
            for tensor in tensors.values():
                tensor.normal_(0, 0.2, generator=draw)
    return method


def run_to_end(fit: Fit, cancellation: Cancellation | None = None) -> tuple[Fitted, list[FitProgress]]:
    """What a training reached, and all that it said."""
    said, events = [], fit.run(cancellation or Cancellation())
    while True:
        try:
            said.append(next(events))
        except StopIteration as end:
            return end.value, said


def run_for(fit: Fit, steps: int) -> Fitted:
    """Stops a training after so many steps, as a person would."""

    class AfterSteps(Cancellation):
        asked = 0

        @property
        def requested(self) -> bool:
            self.asked += 1
            return self.asked > steps

    return run_to_end(fit, AfterSteps())[0]


def trained(
    backbone: Backbone, choices: Choices, folder: Path, tasks: Sequence[Sequence[Example]] = (), **more: Any
) -> tuple[Method, Fitted]:
    """A method after a whole training."""
    rows = tasks or [examples(12)]
    method = new_method(backbone, choices, [str(number) for number in range(len(rows))])
    fitted, _ = run_to_end(Fit(backbone, method, rows, rows, choices, folder, **more))
    return method, fitted


def factors_of(method: Method, task: int = 0) -> Callable[[str], Factors]:
    """A and B of each weight for batches of one row."""
    return partial(method.factors, owners=torch.tensor([task]))


def product(method: Method, weight: str, task: int = 0) -> Any:
    """ΔW of a weight."""
    a, b = factors_of(method, task)(weight)
    return (b @ a).reshape(method.weights[weight])


def next_logits(backbone: Backbone, tokens: Sequence[int], method: Method | None = None, task: int = 0) -> Any:
    """The logits after some tokens in the forward pass of a training, the adapter on from the first of them."""
    asked = Example((), (*tokens, 0), len(tokens))
    with torch.no_grad():
        logits, _, _ = backbone.learned_logits(batch([[asked]]), factors_of(method, task) if method else None)
    return logits[0].numpy()


def same(state: Any, other: Any) -> bool:
    """Whether two states have exactly the same numbers."""
    if isinstance(state, torch.Tensor):
        return torch.equal(state, other)
    if isinstance(state, dict):
        return state.keys() == other.keys() and all(same(state[key], other[key]) for key in state)
    return bool(state == other)
